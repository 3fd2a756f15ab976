"""Distilling through views: who sees what, what is stored, and what a run remembers of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rldistill import distill, resume
from rldistill.core import Acting, CategoricalHead, NetworkPolicy, PolicyInfo
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.envs.views import View
from rldistill.errors import DatasetError, RunFolderError, SettingError
from rldistill.evaluation.evaluate import EvaluationSettings, evaluate
from rldistill.methods.method import STUDENT
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller, Randomness
from rldistill.train.gather import GatherSettings, gather
from rldistill.train.prepare import prepare
from rldistill.train.request import Request
from rldistill.train.settings import Settings

CPU = torch.device("cpu")
HIDDEN = TaskSpec(id="CartPole-v1", student_view=View.parse("drop:1,3"))


class Counted(torch.nn.Module):
    """A linear policy on all four numbers that counts the states it is asked about."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 2, bias=False)
        self.asked = 0
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[-0.1, -0.3, -3.0, -1.0], [0.1, 0.3, 3.0, 1.0]]))

    def forward(self, observations):
        self.asked += len(observations)
        return self.linear(observations)


def teacher():
    info = PolicyInfo(
        name="linear", framework="test", observation_shape=(4,), head=CategoricalHead(2),
        acting_parameters=8, parameters=8, fingerprint="f" * 64,
    )  # fmt: skip
    return NetworkPolicy(Counted().requires_grad_(False), info)


def student():
    module = torch.nn.Linear(2, 2)
    info = replace(teacher().info, observation_shape=(2,))
    return NetworkPolicy(module, info)


@pytest.mark.parametrize("keep", [False, True])
def test_the_teacher_labels_by_what_it_sees_and_each_state_once(keep):
    who, control = teacher(), replace(STUDENT, epsilon=0.0)
    with make(HIDDEN, 4, 3) as env, make("CartPole-v1", 4, 3) as full:
        randomness = Randomness.seeded(0, CPU)
        controller = Controller(
            control, who, student(), Acting(), env.info.action_space, randomness
        )
        got = Collector(env, controller, CPU, keep_teacher=keep).collect(400, 0)
        seen = [full.reset()]
        seen += [full.step(actions.numpy()).observations for actions in got.actions]
    every = torch.from_numpy(np.stack(seen))
    torch.testing.assert_close(got.observations, every[:-1][..., [0, 2]])
    torch.testing.assert_close(got.teacher_raw, who.module.linear(every[:-1]))
    assert who.module.asked == 400
    assert (got.teacher_observations is not None) == keep
    if keep:
        torch.testing.assert_close(got.teacher_observations, every)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = Settings(steps=3000, student_view=HIDDEN.student_view, evaluation_envs=16)
    folder = tmp_path_factory.mktemp("views") / "run"
    return distill(teacher(), "CartPole-v1", "mlp:8", out=folder,
                   settings=settings)  # fmt: skip


def test_the_students_normaliser_is_of_what_the_student_sees(tmp_path):
    view = View.parse("noise:5@0+[2,0]")
    settings = Settings(steps=4096, student_view=view, evaluation_envs=16)
    who = teacher()
    before = who.module.linear.weight.clone()
    request = Request(
        teacher=who,
        task="CartPole-v1",
        student="mlp:8",
        out=tmp_path / "run",
        resume=False,
        settings=settings,
    )
    job = prepare(request)
    with job.source.open(0):
        first = job.collect()
        job.begin(first)
    mean, std = (first.observations[first.valid].mean(0), first.observations[first.valid].std(0))
    normaliser = job.learner.student.module.normaliser
    torch.testing.assert_close(normaliser.mean, mean, atol=1e-4, rtol=1e-3)
    assert std[1] > 4.0 > 1.0 > std[0]
    assert job.teacher_info.observation_shape == (4,)
    assert torch.equal(who.module.linear.weight, before)


def test_a_run_keeps_its_views_and_is_resumed_and_evaluated_through_them(run):
    folder = run.path
    card = json.loads((folder / "student.json").read_text())
    assert card["task"]["student_view"] == "drop:1,3"
    assert 'student_view = "drop:1,3"' in (folder / "recipe.toml").read_text()
    settings = EvaluationSettings(episodes=16)
    record = evaluate(folder, "CartPole-v1", against=teacher(), settings=settings)
    assert "student view: drop:1,3" in record["notes"]
    other = Settings(steps=6000, student_view=View.parse("drop:0,1"), evaluation_envs=16)
    with pytest.raises(RunFolderError, match=r"student view drop:1,3.*student view drop:0,1"):
        resume(folder, teacher=teacher(), task="CartPole-v1", settings=other)


def test_a_dataset_of_two_views_is_learnt_from_with_its_own_labels_alone(tmp_path):
    gather(teacher(), HIDDEN, tmp_path / "data", GatherSettings(steps=500))
    settings = Settings(steps=1000, data=tmp_path / "data", evaluation_envs=8)
    known = distill(teacher(), None, "mlp:4", out=tmp_path / "run", settings=settings)
    assert known.student.info.observation_shape == (2,)
    stranger = teacher()
    stranger = NetworkPolicy(stranger.module, replace(stranger.info, fingerprint="0" * 64))
    with pytest.raises(DatasetError, match="another teacher cannot label it"):
        distill(stranger, None, "mlp:4", out=tmp_path / "other", settings=settings)
    view = replace(settings, student_view=View.parse("[0]"))
    with pytest.raises(SettingError, match="no effect with data"):
        distill(teacher(), None, "mlp:4", out=tmp_path / "third", settings=view)
