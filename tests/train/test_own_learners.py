"""The rows with a learner of their own in whole runs: resumed, refused, and learning."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from own_rows import OWN, deep_follower, equal, quick_row, state_of, through, weights
from scipy import stats
from small_runs import SHIPPED, TaskSpec, Track, follower, quick_job, tracker
from torch import nn

from rldistill import load_policy
from rldistill.core import Acting, QValueHead
from rldistill.data.latest import LatestRound
from rldistill.data.replay import Replay
from rldistill.data.transitions import Transitions
from rldistill.errors import SettingError, ShapeError
from rldistill.evaluation.scores import Arena, policy_actor, task_info
from rldistill.methods.schedules import Constant
from rldistill.train.distill import distilling
from rldistill.train.gather import GatherSettings, gather
from rldistill.train.job import Job


def job_of(out: Path, name: str, resume: bool = False, **changes: Any) -> Job:
    given = {"teacher": deep_follower(), "method": quick_row(name), "student": "mlp:8"} | changes
    return quick_job(out, resume=resume, **given)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("q_values", [False, True], ids=["logits", "q-values"])
def test_a_whole_run_trains_tests_and_saves(tmp_path: Path, name: str, q_values: bool) -> None:
    job = job_of(tmp_path / "run", name, teacher=deep_follower(q_values))
    before = weights(job.learner.student)
    records = list(distilling(job))
    assert job.learner.updates > 0
    assert job.learner.is_finite
    assert not equal(weights(job.learner.student), before)
    assert records[-1].phase == "done"
    found = load_policy(tmp_path / "run")
    states = torch.rand(20, 2)
    torch.testing.assert_close(
        found.raw(states), job.learner.tested.raw(states), atol=1e-4, rtol=1e-4
    )
    assert isinstance(found.info.head, QValueHead) == (name == "qdagger")


@pytest.mark.parametrize("name", OWN)
def test_equal_seeds_give_equal_weights_and_others_do_not(tmp_path: Path, name: str) -> None:
    ran = []
    for i, seed in enumerate((0, 0, 1)):
        job = job_of(tmp_path / str(i), name, seed=seed, steps=1024)
        list(distilling(job))
        ran.append(state_of(job.learner))
    assert all(torch.equal(x, ran[1][key]) for key, x in ran[0].items())
    assert any(not torch.equal(x, ran[2][key]) for key, x in ran[0].items())


@pytest.mark.parametrize("name", OWN)
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path, name: str) -> None:
    """Everything of both policies comes back; the next updates on the same round are the same."""
    old = job_of(tmp_path / "run", name, steps=1024)
    list(distilling(old))
    new = job_of(tmp_path / "run", name, resume=True, steps=2048)
    with new.keeper:
        new.keeper.start(new)
    assert_same(old, new)
    forget_episodes(old)
    if isinstance(old.memory, LatestRound) and isinstance(new.memory, LatestRound):
        new.memory.put(old.memory.trajectory)  # is collected again, never saved
    if isinstance(old.memory, Transitions) and isinstance(new.memory, Transitions):
        for job in (old, new):
            job.memory.put(old.memory.latest)
    for job in (old, new):
        job.learner.loss_weight = 0.5
        job.learner.learn(job.memory, 5)
    assert_same(old, new)
    assert weights(old.learner.acting)[0].equal(weights(new.learner.acting)[0])


def forget_episodes(job: Job) -> None:
    """A resumed run begins new episodes, so the discounted return of those under way is gone."""
    learner: Any = job.learner
    pair = getattr(learner, "_pair", (getattr(learner, "_task", None),))
    for each in pair:
        if each is not None:
            each._appraiser.scale._running = None


def assert_same(old: Job, new: Job) -> None:
    before, after = state_of(old.learner), state_of(new.learner)
    assert before.keys() == after.keys()
    different = [key for key in before if not torch.equal(before[key], after[key])]
    assert different == []
    assert old.learner.updates == new.learner.updates


@pytest.mark.parametrize("name", OWN)
def test_a_learner_taken_through_a_checkpoint_is_the_same(tmp_path: Path, name: str) -> None:
    """Also into a learner with other weights."""
    old = job_of(tmp_path / "a", name, steps=512)
    list(distilling(old))
    new = job_of(tmp_path / "b", name, seed=5)
    through(tmp_path, old.learner, new.learner)
    assert all(torch.equal(x, state_of(new.learner)[k]) for k, x in state_of(old.learner).items())


def test_dual_collects_with_whoever_s_turn_it_is(tmp_path: Path) -> None:
    """The controller asks the learner at every step."""
    job = job_of(tmp_path / "run", "dual")
    controller: Any = job.source
    asked = controller.controller.acting
    assert asked() is job.learner.acting
    first = asked()
    job.learner._turn = 0  # type: ignore[attr-defined]
    assert asked() is job.learner.student is not first


def test_qdagger_learns_first_on_the_teachers_data_and_then_on_its_own(tmp_path: Path) -> None:
    """What the teacher collected is gone after the first round in which the student acts."""
    job = job_of(tmp_path / "run", "qdagger", steps=1536)
    by_round = {
        record.round_index: len(job.memory)
        for record in distilling(job)
        if record.phase == "learning"
    }
    assert by_round[2] <= 512 + 16
    assert by_round[3] > by_round[2]


def test_qdagger_weighs_fully_while_the_teacher_acts(tmp_path: Path) -> None:
    job = job_of(tmp_path / "run", "qdagger", steps=512)
    list(distilling(job))
    assert job.learner.loss_weight == 3.0
    assert job.recent.mean is None


def test_labels_with_features_work_under_a_row_in_which_the_teacher_acts(tmp_path: Path) -> None:
    """Its outputs come first in a label; actions and agreement are read from them alone."""
    row = quick_row("actor-mimic")
    row = replace(row, control=replace(row.control, teacher_share=Constant(1.0), epsilon=0.0))
    job = job_of(tmp_path / "run", "actor-mimic", method=row, steps=2048)
    list(distilling(job))
    assert job.state.agreement is not None
    assert job.state.agreement > 0.8
    assert isinstance(job.memory, Replay)
    assert job.memory.row_nbytes == 4 * (2 + 4)


def test_actor_mimic_refuses_networks_without_a_hidden_layer(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="hidden layer was required; by hand has none"):
        job_of(tmp_path / "a", "actor-mimic", teacher=follower())
    with pytest.raises(SettingError, match="hidden layer was required; mlp:linear has none"):
        job_of(tmp_path / "b", "actor-mimic", student="mlp:linear")


def test_what_a_row_is_not_defined_for_is_said_before_any_step(tmp_path: Path) -> None:
    """Continuous or deterministic actions."""
    given = {"teacher": tracker(), "task": TaskSpec(factory=Track, id="Track-v0")}
    with pytest.raises((SettingError, ShapeError), match="qdagger is defined for discrete actions"):
        job_of(tmp_path / "a", "qdagger", **given)
    for name in ("dual", "distral"):
        with pytest.raises(SettingError, match="probabilities of actions"):
            job_of(tmp_path / name, name, **given)


class Own(nn.Module):
    """A live student with a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize("name", ["actor-mimic", "dual", "distral"])
def test_a_live_module_learns_and_gets_its_weights_back(tmp_path: Path, name: str) -> None:
    """The peer and the prior beside it are MLPs of our own."""
    torch.manual_seed(0)
    live = Own()
    before = [x.clone() for x in live.state_dict().values()]
    job = job_of(tmp_path / "run", name, student=live)
    list(distilling(job))
    job.hand_over()
    assert not equal(list(live.state_dict().values()), before)
    assert equal(list(live.state_dict().values()), weights(job.learner.tested))


def test_qdagger_refuses_a_live_module(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"made from a spec.*live module Own"):
        job_of(tmp_path / "run", "qdagger", student=Own())


@pytest.mark.parametrize("name", OWN)
def test_a_dataset_does_not_do(tmp_path: Path, name: str) -> None:
    gather(follower(), "Follow-v0", tmp_path / "data", GatherSettings(steps=64, num_envs=4))
    nothing = {"teacher": None, "task": None}
    problem = "learns from what the student does|weighs its loss by the returns"
    with pytest.raises(SettingError, match=f"{name} ({problem})"):
        job_of(tmp_path / "run", name, data=tmp_path / "data", num_envs=None, **nothing)


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_each_learns_cartpole_from_the_shipped_teacher(tmp_path: Path, name: str) -> None:
    """60,000 steps; longer episodes than the untrained student's, by a Mann-Whitney test."""
    given = {"teacher": SHIPPED / "cartpole-dqn.zip", "task": "CartPole-v1", "num_envs": 64}
    job = quick_job(tmp_path / "run", method=name, steps=60_000, student="mlp:16,16", **given)
    spec = job.task
    assert spec is not None
    arena = Arena(spec, task_info(spec), 64, 1234)
    device = torch.device("cpu")

    def returns() -> Any:
        actor = policy_actor(job.learner.tested, Acting(), device, 0)
        return arena.play(actor, arena.next_seed()).returns

    with arena:
        untrained = returns()
        list(distilling(job))
        trained = returns()
    assert stats.mannwhitneyu(trained, untrained, alternative="greater").pvalue < 1e-6
