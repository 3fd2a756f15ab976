"""rldistill distill with bad input: one clear line, and nothing lost."""

import errno
import os
import sys
from pathlib import Path

import pytest
from commands import TASK, Command
from small_runs import SHIPPED

from rldistill.students.store import load_student


def refused(rldistill: Command, *arguments: object) -> str:
    """The one line by which a command was refused; nothing was made."""
    result = rldistill("distill", *arguments)
    assert result.code == 1
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert not Path("runs").exists()
    return result.err


def test_files_that_are_no_teachers(rldistill: Command, tmp_path: Path) -> None:
    whole = (SHIPPED / "cartpole-dqn.zip").read_bytes()
    (tmp_path / "text.zip").write_text("I am not a zip")
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "teacher-dqn.zip").write_bytes(whole)
    cartpole = ("--task", "CartPole-v1")
    assert "text.zip" in refused(rldistill, "text.zip", *cartpole)
    assert "cut.zip" in refused(rldistill, "cut.zip", *cartpole)
    said = refused(rldistill, "teacher-dpn.zip", *cartpole)
    assert "teacher-dpn.zip" in said
    assert "Did you mean teacher-dqn.zip?" in said


def test_a_teacher_of_another_task(rldistill: Command, teacher: Path) -> None:
    said = refused(rldistill, teacher, "--task", "CartPole-v1")
    assert "takes observations of shape (2,), the task gives (4,)" in said
    said = refused(rldistill, SHIPPED / "cartpole-dqn.zip", "--task", "Acrobot-v1")
    assert "(4,)" in said
    assert "(6,)" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task", "Folow-v0"), "Did you mean Follow-v0?"),
        (("--task", "Follow-v0", "--student", "mlp:0"), "mlp:0"),
        (("--task", "Follow-v0", "--student", ""), "student: the text is empty"),
        (("--task", "Follow-v0", "--student", "mpl:8"), "mpl:8"),
        (("--task", "Follow-v0", "--until", "0"), "until must lie in (0, 1], got 0"),
        (("--task", "Follow-v0", "--until", "1.2"), "until must lie in (0, 1], got 1.2"),
        (("--task", "Follow-v0", "--until", "nan"), "until must lie in (0, 1], got nan"),
        (("--task", "Follow-v0", "--steps", "0"), "steps must be at least 1, got 0"),
        (("--task", "Follow-v0", "--method", "daggre"), "unknown method 'daggre'"),
        (("--task", "Follow-v0", "--env-kwargs", "scale"), "must be name=value"),
        (("--task", "Follow-v0", "--env-kwargs", "scal=2"), "Did you mean scale?"),
        (("--task", "Follow-v0", "--wrapper", "small_runs"), "small_runs"),
        (("--task", "Follow-v0", "--wrapper", "small_runs:halv"), "Did you mean halve"),
        (("--task", "Follow-v0", "--import", "no_such_module"), "no_such_module"),
        (("--task", "Follow-v0", "--recipe", "none.toml"), "cannot read recipe none.toml"),
        (("--task", "Follow-v0", "--out", "file/run"), "is a file; a folder is needed"),
        (("--task", "Follow-v0", "--out", "full"), "full is not empty and is not a run folder"),
        ((), "a task is required, for example --task LunarLander-v3"),
    ],
)
def test_wrong_settings(
    rldistill: Command, teacher: Path, flags: tuple[str, ...], message: str
) -> None:
    Path("file").write_text("")
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("")
    assert message in refused(rldistill, teacher, *flags)


def test_no_teacher(rldistill: Command) -> None:
    assert "a teacher is required" in refused(rldistill, "--task", "Follow-v0")


def test_unknown_flags_have_near_names(rldistill: Command, teacher: Path) -> None:
    for wrong, near in (("--taks", "--task"), ("--studnet", "--student"), ("--untill", "--until")):
        result = rldistill("distill", teacher, wrong, "x")
        assert result.code == 2
        assert near in result.err
        assert result.out == ""


def test_unknown_recipe_keys_have_near_names(rldistill: Command, teacher: Path) -> None:
    Path("mine.toml").write_text(f'teacher = "{teacher}"\ntask = "Follow-v0"\nstudnet = "mlp:5"\n')
    assert (
        "unknown setting 'studnet'. Did you mean student or student_act or student_view?"
        in refused(rldistill, "--recipe", "mine.toml")
    )
    Path("mine.toml").write_text("task = Follow")
    assert "recipe mine.toml is not TOML" in refused(rldistill, "--recipe", "mine.toml")


def test_a_number_in_a_recipe_has_no_quotes(rldistill: Command, teacher: Path) -> None:
    Path("mine.toml").write_text(f'teacher = "{teacher}"\ntask = "Follow-v0"\nuntil = "0.9"\n')
    said = refused(rldistill, "--recipe", "mine.toml")
    assert said == "error: until must be a number, got '0.9'\n"


def test_a_file_that_is_not_there_ends_without_a_full_stop(rldistill: Command) -> None:
    """As every other error does."""
    said = refused(rldistill, "nope.zip", "--task", "CartPole-v1")
    assert said == "error: nope.zip does not exist\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_folder_that_the_system_does_not_let_be_made(rldistill: Command, teacher: Path) -> None:
    """/proc says that the new name does not exist."""
    said = refused(rldistill, teacher, "--task", "Follow-v0", "--import", "small_runs",
                   "--out", "/proc/foo")  # fmt: skip
    assert "/proc/foo is not writable: change its permissions or choose another folder" in said


def test_a_missing_extra_is_one_pip_line(
    rldistill: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "envpool", None)
    said = refused(rldistill, SHIPPED / "cartpole-dqn.zip", "--task", "CartPole-v1",
                   "--backend", "envpool")  # fmt: skip
    assert 'envpool is not installed; run: pip install "rldistill[fast]"' in said


def test_a_student_larger_than_its_teacher_is_warned_of(rldistill: Command, teacher: Path) -> None:
    result = rldistill("distill", teacher, *TASK, "--steps", 64, "--num-envs", 4,
                       "--student", "mlp:32")  # fmt: skip
    assert result.code == 0
    assert "warning  the student is larger than its teacher" in result.out


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ("raise_at=200", "raised in step"),
        ("nan_at=200", "returned a NaN or infinite observation in step"),
    ],
)
def test_an_environment_that_breaks_in_mid_run(
    rldistill: Command, teacher: Path, kwargs: str, message: str
) -> None:
    """What was learnt is saved, and the way on is told."""
    result = rldistill("distill", teacher, *TASK, "--steps", 100_000, "--num-envs", 16,
                       "--out", "a", "--env-kwargs", kwargs, "--student", "mlp:8")  # fmt: skip
    assert result.code == 1
    assert message in result.err
    assert f"continue with: rldistill distill --resume {Path.cwd() / 'a'}" in result.err
    assert load_student(Path("a")).info.name == "mlp:8"


def test_a_full_disk(rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        result = rldistill("distill", teacher, *TASK, "--steps", 64, "--num-envs", 4)
    assert result.code == 1
    assert "no space left to write" in result.err
    assert "Traceback" not in result.err
