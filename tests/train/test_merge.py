"""Teachers of several tasks into one student: whose turn it is, what is learnt, what is said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from several_tasks import opposite, wide
from small_runs import QUICK, follower

from rldistill.core import CategoricalHead
from rldistill.errors import MisfitError, NotFiniteError, RunFolderError, SettingError
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import TEACHER
from rldistill.runs import RunFolder, read_json
from rldistill.teachers.load import load_policy
from rldistill.train.merge import Merging, merging
from rldistill.train.merge_settings import MergeRequest, MergeSettings
from rldistill.train.prepare_merge import merge, prepare_merge

FAST = replace(
    QUICK,
    control=TEACHER,
    round_steps=512,
    learning=replace(QUICK.learning, batch_size=64, learning_rate=3e-3, reuse=8.0),
)
SETTINGS = MergeSettings(method=FAST, steps=4096, num_envs=8, evaluation_envs=32)


PAIRS = [(follower(), "Follow-v0"), (opposite(), "Opposite-v0"), (wide(), "Wide-v0")]
STUDENT = "multi:mlp:32,fc16"


def job(out: Path, pairs: Any = None, resume: bool = False, **changes: Any) -> Merging:
    return prepare_merge(
        MergeRequest(
            pairs=pairs or PAIRS,
            student=STUDENT,
            out=out,
            resume=resume,
            settings=replace(SETTINGS, **changes),
        )
    )


def test_one_student_does_what_each_teacher_does(tmp_path: Path) -> None:
    """Two tasks look alike and want opposite actions, the third has other sizes: the task tells."""
    summary = merge(PAIRS, STUDENT, out=tmp_path / "run", settings=SETTINGS)
    fractions = {task: found["fraction"] for task, found in summary["tasks"].items()}
    assert set(fractions) == {"Follow-v0", "Opposite-v0", "Wide-v0"}
    assert min(fractions.values()) > 0.8
    assert 0.8 < summary["geometric_mean"] < 1.05
    assert summary["geometric_mean_of"] == "student / teacher, raw returns"
    assert summary["env_steps"] == pytest.approx(4096, abs=8 * 16 * 3)


def test_the_run_folder_loads_by_task(tmp_path: Path) -> None:
    merge(PAIRS, STUDENT, out=tmp_path / "run", settings=SETTINGS)
    seen = np.array([0.7, 0.6], np.float32)
    assert load_policy(tmp_path / "run", task="Follow-v0").predict(seen)[0] == 1
    assert load_policy(tmp_path / "run", task="Opposite-v0").predict(seen)[0] == 0
    large = np.array([-0.5, 0.1, 0.9], np.float32)
    assert load_policy(tmp_path / "run", task="Wide-v0").predict(large)[0] == 2
    with pytest.raises(Exception, match=r"no task 'Follow-v1'.*Did you mean Follow-v0"):
        load_policy(tmp_path / "run", task="Follow-v1")


def test_each_memory_holds_its_own_task_and_its_own_share(tmp_path: Path) -> None:
    """Labels are those of the task's own teacher; no task adds more than the others."""
    running = job(tmp_path / "run")
    progress = merging(running)
    for record in progress:
        if record.round_index == 2:
            break
    for (teacher, _), task in zip(PAIRS, running.tasks, strict=True):
        seen, labels = task.memory.sample(200, torch.Generator().manual_seed(0))
        torch.testing.assert_close(labels, teacher.raw(seen))
        assert task.env_steps == pytest.approx(2 * 512, abs=8 * 16)
    progress.close()


def test_the_task_is_switched_with_every_episode(tmp_path: Path) -> None:
    """A turn ends once as many episodes have ended as there are environments."""
    running = job(tmp_path / "run")
    turns: list[tuple[str, int]] = []
    cls = type(running.tasks[0])
    turn = cls.turn

    def watched(task: Any, *rest: Any) -> int:
        steps = turn(task, *rest)
        turns.append((task.info.id, steps))
        return steps

    cls.turn = watched  # type: ignore[method-assign]
    try:
        progress = merging(running)
        for record in progress:
            if record.round_index == 1:
                break
        progress.close()
    finally:
        cls.turn = turn  # type: ignore[method-assign]
    assert [name for name, _ in turns[:4]] == ["Follow-v0", "Opposite-v0", "Wide-v0", "Follow-v0"]
    # 8 environments with episodes of 8 (or 5) steps, looked at every 16 vector steps.
    assert all(steps <= 8 * 16 for _, steps in turns)
    assert len(turns) > 2 * 3


def test_every_update_is_of_one_task_and_all_come_up(tmp_path: Path) -> None:
    running = job(tmp_path / "run")
    progress = merging(running)
    for record in progress:
        if record.round_index == 1:
            break
    assert all(loss == loss for loss in running.learner.losses)
    drawn: list[str] = []
    for task in running.tasks:
        sample = task.memory.sample

        def watched(size: int, generator: Any, name: str = task.info.id, own: Any = sample) -> Any:
            drawn.append(name)
            return own(size, generator)

        task.memory.sample = watched  # type: ignore[method-assign]
    before = running.learner.updates
    running.learner.learn(running.tasks, 60)
    assert running.learner.updates - before == len(drawn) == 60
    assert set(drawn) == {"Follow-v0", "Opposite-v0", "Wide-v0"}
    progress.close()


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    progress = merging(job(tmp_path / "run"))
    for stopped in progress:
        if stopped.round_index == 1:
            break
    progress.close()
    again = job(tmp_path / "run", resume=True)
    records = list(merging(again))
    assert records[0].env_steps == stopped.env_steps
    assert records[0].updates == stopped.updates
    assert again.summary is not None
    with pytest.raises(RunFolderError, match="give more"):
        list(merging(job(tmp_path / "run", resume=True)))


def test_another_run_is_not_resumed(tmp_path: Path) -> None:
    merge(PAIRS, STUDENT, out=tmp_path / "run", settings=replace(SETTINGS, steps=512))
    with pytest.raises(RunFolderError, match="the run has Follow-v0"):
        list(merging(job(tmp_path / "run", pairs=PAIRS[:2], resume=True)))


@pytest.mark.parametrize("name", ["rusu-kl", "rusu-nll", "dagger", "on-policy-distill"])
def test_rows_that_learn_state_by_state_merge(tmp_path: Path, name: str) -> None:
    row = replace(get_method(name), round_steps=256)
    settings = replace(SETTINGS, method=row, steps=1024, evaluation_envs=8)
    summary = merge(PAIRS, STUDENT, out=tmp_path / "run", settings=settings)
    assert summary["geometric_mean"] is not None
    assert read_json(tmp_path / "run" / "student.json")["method"] == name


@pytest.mark.parametrize(
    ("pairs", "changes", "error", "message"),
    [
        ([], {}, SettingError, "at least one TEACHER@TASK"),
        (PAIRS[:1] * 2, {}, SettingError, "two were given for Follow-v0"),
        ([(wide(), "Follow-v0")], {}, MisfitError, "Follow-v0"),
        (PAIRS, {"method": get_method("qdagger")}, SettingError, "does not learn state by state"),
        (PAIRS, {"method": get_method("dagger"), "steps": None, "scale": 0.1}, SettingError,
         "scale has no effect"),
    ],
)  # fmt: skip
def test_what_cannot_be_merged_is_refused(
    tmp_path: Path, pairs: Any, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        prepare_merge(
            MergeRequest(
                pairs=pairs,
                student=STUDENT,
                out=tmp_path / "run",
                settings=replace(SETTINGS, **changes),
            )
        )
    assert not (tmp_path / "run").exists()


def test_a_student_of_one_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="multi:mlp:8"):
        prepare_merge(MergeRequest(pairs=PAIRS, student="mlp:8", out=tmp_path / "run"))


def test_a_loss_that_is_no_number_keeps_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = job(tmp_path / "run")
    progress = merging(running)
    for record in progress:
        if record.round_index == 1:
            break

    def fail(*_: Any) -> float:
        raise NotFiniteError("the loss became nan")

    monkeypatch.setattr(type(running.learner), "learn", fail)
    with pytest.raises(NotFiniteError):
        next(progress)
    assert load_policy(tmp_path / "run", task="Wide-v0").info.head == CategoricalHead(3)
    assert not RunFolder.open(tmp_path / "run").verdict_json.exists()
