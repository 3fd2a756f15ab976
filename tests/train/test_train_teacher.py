"""Teachers trained here: they learn, load as teachers, and go on where they were stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from several_tasks import LEARNING, NETWORK, TRAINING
from small_runs import FOLLOW

from rldistill.core import QValueHead
from rldistill.envs.spec import TaskSpec
from rldistill.envs.views import View
from rldistill.errors import NotFiniteError, RunFolderError, SettingError
from rldistill.runs import RunFolder, read_json
from rldistill.teachers.load import load_policy, load_teacher
from rldistill.train.prepare_training import (
    TrainRequest,
    prepare_training,
    resumed_request,
    train_teacher,
)
from rldistill.train.train_teacher import Training, training

SETTINGS = TRAINING


def job(out: Path, resume: bool = False, **changes: Any) -> Training:
    settings = replace(SETTINGS, **changes)
    request = TrainRequest(
        tasks=["Follow-v0"], network=NETWORK, out=out, resume=resume, settings=settings
    )
    return prepare_training(request)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_teacher(run, announce=None).module.state_dict()


def test_it_learns_a_task_and_loads_as_a_teacher(tmp_path: Path) -> None:
    """Follow-v0 returns 4 by chance and 8 at best; 7.4 is 20 standard errors above chance."""
    summary = train_teacher("Follow-v0", NETWORK, out=tmp_path / "run", settings=SETTINGS)
    assert summary["student_return"] > 7.4
    assert summary["tasks"]["Follow-v0"]["episodes"] == 32
    assert summary["student_low"] <= summary["student_return"] <= summary["student_high"]
    teacher = load_teacher(tmp_path / "run", announce=None)
    assert teacher.info.head == QValueHead(2)
    card = read_json(tmp_path / "run" / "student.json")
    assert card["gamma"] == teacher.info.gamma == 0.5
    # Each step is worth at most 1, and counts half of the one before: Q is at most 2.
    best = teacher.raw(torch.tensor([[0.9, 0.9], [-0.9, -0.9]])).amax(-1)
    assert best.tolist() == pytest.approx([1.9, 1.9], abs=0.5)
    assert teacher.info.value_units == "raw"
    torch.testing.assert_close(teacher.value(torch.tensor([[0.9, 0.9], [-0.9, -0.9]])), best)


def test_it_learns_through_the_students_view_and_remembers_it(tmp_path: Path) -> None:
    """Follow-v0 asks for the sign of a sum, which one of its two numbers tells in 3 of 4 cases."""
    task = TaskSpec(id="Follow-v0", student_view=View.parse("0"))
    summary = train_teacher(task, NETWORK, out=tmp_path / "run", settings=SETTINGS)
    assert 5.0 < summary["student_return"] < 7.4
    assert load_teacher(tmp_path / "run", announce=None).info.observation_shape == (1,)
    assert read_json(tmp_path / "run" / "student.json")["task"]["student_view"] == "[0]"


def test_a_view_of_a_teacher_is_refused_where_there_is_none(tmp_path: Path) -> None:
    task = TaskSpec(id="Follow-v0", teacher_view=View.parse("0"))
    with pytest.raises(SettingError, match="teacher_view has no effect"):
        train_teacher(task, NETWORK, out=tmp_path / "run", settings=SETTINGS)
    assert not (tmp_path / "run").exists()


def test_q_values_of_clipped_rewards_are_no_value(tmp_path: Path) -> None:
    learning = replace(LEARNING, clip_rewards=True)
    settings = replace(SETTINGS, steps=500, learning=learning)
    train_teacher("Follow-v0", NETWORK, out=tmp_path / "run", settings=settings)
    info = load_teacher(tmp_path / "run", announce=None).info
    assert (info.value_units, info.gamma) == ("none", None)


def test_half_precision_takes_half_the_space_and_reads_back(tmp_path: Path) -> None:
    few = replace(SETTINGS, steps=1_000)
    for name, half in (("full", False), ("half", True)):
        settings = replace(few, half=half)
        train_teacher("Follow-v0", "mlp:256,256", out=tmp_path / name, settings=settings)
    sizes = [(tmp_path / name / "student.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.52 * sizes[0]
    full, half = (weights(tmp_path / name) for name in ("full", "half"))
    assert all(x.dtype == torch.float32 for x in half.values())
    assert all(torch.equal(full[name].half().float(), half[name]) for name in full)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    few = replace(SETTINGS, steps=1_000)
    for name in ("one", "two"):
        train_teacher("Follow-v0", NETWORK, out=tmp_path / name, settings=few)
    train_teacher("Follow-v0", NETWORK, out=tmp_path / "three", settings=replace(few, seed=1))
    one, two, three = (weights(tmp_path / name) for name in ("one", "two", "three"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], three[name]) for name in one)


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    running = job(out)
    progress = training(running)
    for _ in range(6):
        stopped = next(progress)
    progress.close()
    learnt = running.network.module.state_dict()
    request = resumed_request(out, None)
    assert (request.network, request.settings.learning) == (NETWORK, LEARNING)
    again = prepare_training(request)
    progress = training(again)
    records = [next(progress)]
    own = again.network.module.state_dict()
    assert all(torch.equal(x, own[name]) for name, x in learnt.items())
    records += progress
    assert stopped.env_steps is not None
    assert records[0].env_steps == stopped.env_steps
    assert records[0].updates == stopped.updates > 0
    assert again.summary is not None
    assert again.summary["env_steps"] >= SETTINGS.steps


def test_a_finished_run_needs_more_steps_to_go_on(tmp_path: Path) -> None:
    few = replace(SETTINGS, steps=500)
    train_teacher("Follow-v0", NETWORK, out=tmp_path / "run", settings=few)
    with pytest.raises(RunFolderError, match="give more"):
        list(training(prepare_training(resumed_request(tmp_path / "run", None))))
    more = prepare_training(resumed_request(tmp_path / "run", 900))
    assert list(training(more))[-1].env_steps >= 900  # type: ignore[operator]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_teacher("Follow-v0", NETWORK, out=out, settings=replace(SETTINGS, steps=500))
    with pytest.raises(RunFolderError, match="seed: the run has 0, you asked for 7"):
        list(training(job(out, resume=True, seed=7)))


def test_an_error_on_the_way_keeps_what_was_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of before are on disk; weights that are no numbers never are."""
    running = job(tmp_path / "run", save_seconds=1e9)
    progress = training(running)
    for _ in range(4):
        next(progress)
    before = {name: x.clone() for name, x in running.network.module.state_dict().items()}

    def fail(*_: Any) -> float:
        raise NotFiniteError("the loss became nan")

    monkeypatch.setattr(type(running.learner), "learn", fail)
    with pytest.raises(NotFiniteError):
        next(progress)
    saved = weights(tmp_path / "run")
    folded = running.network.module.folded().state_dict()  # type: ignore[operator]
    assert all(torch.allclose(saved[name], folded[name]) for name in saved)
    assert all(
        torch.equal(x, running.network.module.state_dict()[name]) for name, x in before.items()
    )


@pytest.mark.parametrize(
    ("tasks", "network", "message"),
    [
        ([], None, "a task is required"),
        (["Follow-v0", "Follow-v0"], None, "given more than once: Follow-v0"),
        (["Track-v0"], None, "continuous actions"),
        (["Follow-v0"], "mpl:8", "Did you mean mlp"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, tasks: list[str], network: str | None, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        prepare_training(TrainRequest(tasks=tasks, network=network, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_network_without_layernorm_is_warned_of(tmp_path: Path) -> None:
    request = TrainRequest(tasks=[FOLLOW], network="mlp:8", out=tmp_path / "run")
    assert any("no LayerNorm" in note for note in prepare_training(request).notes)


def test_a_run_of_distill_is_not_resumed_here(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.recipe_toml.write_text('teacher = "a.zip"\n')
    with pytest.raises(RunFolderError, match="not a run of `rldistill train`"):
        resumed_request(folder.root, None)


def test_one_network_learns_two_tasks_that_contradict_each_other(tmp_path: Path) -> None:
    """Multi-DQN: what is right in one task is wrong in the other; only the heads can tell."""
    summary = train_teacher(
        ["Follow-v0", "Opposite-v0"],
        "multi:mlp:32,relu,layernorm,fc16",
        out=tmp_path / "run",
        settings=replace(SETTINGS, steps=16_000),
    )
    returns = {task: found["return"] for task, found in summary["tasks"].items()}
    assert min(returns.values()) > 7.0
    for task, best in (("Follow-v0", 1), ("Opposite-v0", 0)):
        policy = load_policy(tmp_path / "run", task=task)
        assert policy.info.head == QValueHead(2)
        assert policy(torch.tensor([[0.8, 0.8]])).mode().item() == best
