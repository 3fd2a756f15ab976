"""What is checked and chosen before the first step is taken."""

import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from small_runs import (
    FOLLOW,
    OBSERVATIONS,
    Follow,
    Track,
    follower,
    follower_folder,
    quick_job,
    quick_settings,
    tracker,
)

from rldistill import distill, load_teacher, make_student
from rldistill.core import DeterministicHead, NetworkPolicy
from rldistill.envs.spec import TaskSpec
from rldistill.errors import RunFolderError, SettingError, TaskError
from rldistill.recipes.models import make_recipe
from rldistill.train.distill import distilling


def recipe(job: Any) -> dict[str, Any]:
    """recipe.toml, as it is on disk once the loop has begun."""
    with job.keeper:
        job.keeper.start(job)
    return tomllib.loads((job.keeper.folder.root / "recipe.toml").read_text())


def test_a_default_student_has_at_most_a_tenth_of_the_teacher(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run", student=None)
    assert job.learner.student.info.acting_parameters <= 100
    assert any("of the teacher's 1,000" in note for note in job.notes)


def test_a_student_larger_than_its_teacher_is_warned_of(tmp_path: Path) -> None:
    notes = quick_job(tmp_path / "run", student="mlp:64,64").notes
    assert "warning  the student is larger than its teacher" in notes
    assert not any("warning" in note for note in quick_job(tmp_path / "small").notes)


def test_the_notes_say_what_was_found(tmp_path: Path) -> None:
    """Teacher, student, task, backend and threads: one line each."""
    text = "\n".join(quick_job(tmp_path / "run").notes)
    for what in ("teacher  by hand", "student  mlp:8: 42 parameters", "task     Follow",
                 "2 numbers -> 2 actions", "gymnasium: ", "one thread"):  # fmt: skip
        assert what in text


def test_a_missing_step_limit_is_told(tmp_path: Path) -> None:
    text = "\n".join(quick_job(tmp_path / "run", task=Follow).notes)
    assert "the task declares no step limit: episodes are cut at 27,000 steps" in text


def test_the_recipe_can_be_given_again(tmp_path: Path) -> None:
    """Its keys are those of a recipe, defaults filled in; None is left out."""
    folder = follower_folder(tmp_path / "teacher")
    task = TaskSpec(id="Follow-v0", env_kwargs={"scale": 2.0}, wrapper="small_runs:halve")
    job = quick_job(tmp_path / "run", teacher=folder, task=task, until=0.9, seed=4)
    written = recipe(job)
    assert make_recipe(written).seed == 4
    assert written == {
        "teacher": str(folder), "student": "mlp:8", "method": "dagger", "steps": 1536,
        "until": 0.9, "num_envs": 16, "seed": 4, "device": "auto", "teacher_act": "mode",
        "student_act": "mode", "task": "Follow-v0", "backend": "gymnasium",
        "env_kwargs": {"scale": 2.0}, "wrapper": "small_runs:halve",
    }  # fmt: skip


def test_a_recipe_says_no_until_where_all_steps_were_asked_for(tmp_path: Path) -> None:
    assert "until" not in recipe(quick_job(tmp_path / "run", steps=100))


def test_a_recipe_holds_what_toml_cannot(tmp_path: Path) -> None:
    """TOML has no null: keyword arguments with one are JSON text, which is read back the same."""
    kwargs = {"scale": 1.0, "endless": None}
    task = TaskSpec(id="Follow-v0", env_kwargs=kwargs)
    written = recipe(
        quick_job(tmp_path / "run", task=task, teacher=follower_folder(tmp_path / "t"))
    )
    assert make_recipe(written).env_kwargs == kwargs


def test_live_objects_among_the_keyword_arguments_are_named(tmp_path: Path) -> None:
    task = TaskSpec(id="Follow-v0", env_kwargs={"scale": np.float64(2.0), "raise_at": -1})
    written = recipe(quick_job(tmp_path / "run", task=task))
    assert written["env_kwargs"] == {"scale": 2.0, "raise_at": -1}
    task = TaskSpec(id="Follow-v0", env_kwargs={"scale": Fraction(1, 2)})
    written = recipe(quick_job(tmp_path / "run2", task=task))
    assert written["env_kwargs"] == {"scale": "(a live object: Fraction)"}


def test_live_objects_are_named_in_the_recipe(tmp_path: Path) -> None:
    written = recipe(quick_job(tmp_path / "run", task=SyncVectorEnv([Follow] * 4), num_envs=None))
    assert written["teacher"] == "(a live object: NetworkPolicy)"
    assert written["task"].startswith("(a live object: ")
    assert written["num_envs"] == 4


def test_nothing_is_made_where_something_is_wrong(tmp_path: Path) -> None:
    """The run folder comes last."""
    wrong: list[dict[str, Any]] = [
        {"teacher": tmp_path / "nothing.zip"},
        {"task": "NoSuchTask-v0"},
        {"student": "mlp:0"},
        {"method": "daggre"},
        {"task": "CartPole-v1"},
        {"device": "cuda"},
    ]
    for changes in wrong:
        with pytest.raises(Exception, match=r".+"):
            quick_job(tmp_path / "run", **changes)
        assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_task_is_refused(tmp_path: Path) -> None:
    """Both sides are named: observations, number of actions, kind of actions."""
    with pytest.raises(TaskError, match=r"shape \(2,\), the task gives \(4,\)"):
        quick_job(tmp_path / "run", task="CartPole-v1")

    class Three(Follow):
        action_space = spaces.Discrete(3)

    with pytest.raises(TaskError, match=r"chooses among 2 actions, the task takes one of 3"):
        quick_job(tmp_path / "run", task=Three)
    with pytest.raises(TaskError, match=r"1 continuous action dimensions, the task takes one of 2"):
        quick_job(tmp_path / "run", teacher=tracker())


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    """But for one that saved nothing: whoever begins it again loses nothing."""
    for _ in range(2):
        job = quick_job(tmp_path / "run")
    job.keeper.folder.student_json.write_text("{}")
    with pytest.raises(RunFolderError, match=r"already holds a run: .*--resume.*--force"):
        quick_job(tmp_path / "run")
    quick_job(tmp_path / "run", force=True)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file; a folder is needed"):
        quick_job(tmp_path / "file" / "run")


def test_a_run_folder_of_its_own_is_named_after_task_and_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = quick_job(None)  # type: ignore[arg-type]
    assert job.keeper.folder.root.parent == tmp_path / "runs"
    assert job.keeper.folder.root.name.endswith("-Follow-v0-mlp-8")


def test_a_student_of_another_task_is_refused(tmp_path: Path) -> None:
    student = make_student("mlp:8", OBSERVATIONS, spaces.Discrete(3))
    with pytest.raises(TaskError, match="actions"):
        quick_job(tmp_path / "run", student=student)


def test_what_is_no_student_is_refused_by_type(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"a student must be .* an nn\.Module or .* got a int"):
        quick_job(tmp_path / "run", student=3)


def test_a_student_of_another_family_is_refused(tmp_path: Path) -> None:
    """A student that was made for another teacher: the message says what is needed."""
    student = make_student("mlp:8", OBSERVATIONS, Track().action_space)
    with pytest.raises(
        SettingError, match=r"GaussianHead.*must give float outputs \[B, 1\]: the ac"
    ):
        quick_job(tmp_path / "run", teacher=tracker(), task=Track, method="dagger", student=student)


def test_a_finished_student_is_trained_on(tmp_path: Path) -> None:
    """Its normaliser was folded into its weights when it was saved."""
    folder = follower_folder(tmp_path / "student", threshold=0.2)
    done = distill(follower(), FOLLOW, load_teacher(folder), out=tmp_path / "run",
                   settings=quick_settings(steps=512))  # fmt: skip
    assert done.student.info.name == "mlp:linear"


def test_infinite_action_bounds_are_served(tmp_path: Path) -> None:
    """Uniform actions come from a unit normal there; the student's output is not squashed."""
    infinite = float("inf")
    policy = tracker()
    head = DeterministicHead((-infinite,), (infinite,))
    teacher = NetworkPolicy(policy.module, replace(policy.info, head=head))
    job = quick_job(
        tmp_path / "run", teacher=teacher, task=lambda: Track(infinite), method="rusu-mse"
    )
    list(distilling(job))
    assert job.keeper.summary is not None
    assert job.keeper.summary["agreement"] is not None
