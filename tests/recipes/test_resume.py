"""resume(): from a folder alone, and with live objects given again."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from live_modules import Plain, same_weights
from small_runs import FOLLOW, QUICK, follower, follower_folder, quick_job, quick_settings

from rldistill import distill, load_policy, resume
from rldistill.envs.spec import TaskSpec
from rldistill.errors import RunFolderError, SettingError
from rldistill.methods import catalogue
from rldistill.train.distill import distilling


@pytest.fixture(autouse=True)
def quick_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of the recipe in small rounds, and no waiting for the disk."""
    monkeypatch.setitem(catalogue.ROWS, "dagger", QUICK)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def stopped(folder: Path, **changes: object) -> int:
    """A run that was stopped after its first round; returns its steps."""
    job = quick_job(folder, **{"steps": 2048, **changes})
    progress = distilling(job)
    for record in progress:
        if record.round_index == 1:
            break
    progress.close()
    return job.state.env_steps


def test_a_run_of_files_needs_its_folder_alone(tmp_path: Path) -> None:
    teacher = follower_folder(tmp_path / "teacher")
    task = TaskSpec(id="Follow-v0", imports=("small_runs",))
    before = stopped(tmp_path / "run", teacher=teacher, task=task, seed=5)
    done = resume(tmp_path / "run")
    assert done.path == tmp_path / "run"
    assert before < 2048 <= done.summary["env_steps"]
    assert load_policy(done.path).info.name == "mlp:8"


def test_a_run_that_has_ended_goes_on_with_more_steps(tmp_path: Path) -> None:
    teacher = follower_folder(tmp_path / "teacher")
    settings = quick_settings(steps=512)
    distill(teacher, "Follow-v0", "mlp:8", out=tmp_path / "run", settings=settings)
    with pytest.raises(RunFolderError, match="there is nothing to resume"):
        resume(tmp_path / "run")
    assert resume(tmp_path / "run", steps=1024).summary["env_steps"] >= 1024


def test_live_objects_are_given_again(tmp_path: Path) -> None:
    """The module's weights are those of the run, whatever it holds when it is given."""
    stopped(tmp_path / "run", student=Plain())
    module = Plain()
    done = resume(tmp_path / "run", follower(), FOLLOW, module)
    assert done.summary["env_steps"] >= 2048
    assert same_weights(done.student.module, module)
    assert done.verdict == "holds"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    task = TaskSpec(factory=FOLLOW.factory, id="")
    stopped(tmp_path / "run", student=Plain(), task=task)
    with pytest.raises(
        SettingError, match=r"\(a live object: NetworkPolicy\) as teacher, .*teacher="
    ):
        resume(tmp_path / "run")
    with pytest.raises(SettingError, match=r"as task, .*resume\(run, task=\.\.\.\)"):
        resume(tmp_path / "run", follower())
    with pytest.raises(SettingError, match=r"\(a live object: Plain\) as student"):
        resume(tmp_path / "run", follower(), task)


def test_a_live_object_inside_the_task_is_named(tmp_path: Path) -> None:
    """A keyword argument of the environment that no file can hold."""
    task = TaskSpec(id="Follow-v0", env_kwargs={"scale": Fraction(1, 2)})
    stopped(tmp_path / "run", task=task)
    with pytest.raises(SettingError, match=r"scale was \(a live object: Fraction\).*task=TaskSpec"):
        resume(tmp_path / "run", follower())
    assert resume(tmp_path / "run", follower(), task).summary["env_steps"] >= 2048


def test_another_run_is_refused(tmp_path: Path) -> None:
    stopped(tmp_path / "run")
    with pytest.raises(RunFolderError, match="student: the run has mlp:8, you asked for mlp:9"):
        resume(tmp_path / "run", follower(), FOLLOW, "mlp:9")
    with pytest.raises(RunFolderError, match="teacher: the run has sha of by hand, you asked for"):
        resume(tmp_path / "run", follower(name="other"), FOLLOW)
    with pytest.raises(RunFolderError, match="no run folder at"):
        resume(tmp_path / "nothing")


def test_settings_of_ones_own_are_given_again(tmp_path: Path) -> None:
    """A Method that is not in the table cannot be in a recipe."""
    mine = replace(QUICK, name="mine")
    settings = quick_settings(steps=2048, method=mine)
    stopped(tmp_path / "run", method=mine)
    with pytest.raises(SettingError, match="mine"):
        resume(tmp_path / "run", follower(), FOLLOW)
    assert (
        resume(tmp_path / "run", follower(), FOLLOW, settings=settings).summary["env_steps"] >= 2048
    )
