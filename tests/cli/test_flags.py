"""Flags: values that cannot be read, near names, and combinations of which one has no effect."""

from pathlib import Path

import pytest
from commands import TASK, Command
from small_runs import SHIPPED

from rldistill.cli.flags import EnvironmentFlags
from rldistill.errors import SettingError

CARTPOLE = (SHIPPED / "cartpole-dqn.zip", "--task", "CartPole-v1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("distill", *CARTPOLE, "--backend", "envpol"), "Did you mean envpool?"),
        (("evaluate", *CARTPOLE, "--backend", "gymnasum"), "Did you mean gymnasium?"),
        (("collect", *CARTPOLE, "--steps", 9, "--out", "d", "--backend", "None"),
         "--backend must be one of auto, envpool, gymnasium, ale, minatar; got 'None'."),
        (("distill", *CARTPOLE, "--device", "cdua"), "Did you mean cuda?"),
        (("distill", *CARTPOLE, "--teacher-act", "smaple"), "Did you mean sample?"),
        (("evaluate", *CARTPOLE, "--student-act", "mod"), "Did you mean mode?"),
        (("distill", *CARTPOLE, "--steps", "many"), "--steps must be a whole number; got 'many'"),
        (("distill", *CARTPOLE, "--steps", "1e6"), "--steps must be a whole number; got '1e6'"),
        (("distill", *CARTPOLE, "--until", "half"), "--until must be a number; got 'half'"),
        (("evaluate", *CARTPOLE, "--episodes", "None"), "--episodes must be a whole number"),
        (("lab", "field", "--method", "td-v0", "--world", "chain", "--loss", "figur2"),
         "Did you mean figure2?"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_wrong_usage(
    rldistill: Command, arguments: tuple[object, ...], message: str
) -> None:
    """One line: the flag, what it takes, what came. No word of Python types."""
    result = rldistill(*arguments)
    assert result.code == 2
    assert message in result.err
    assert result.err.startswith("error: --")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--data", "d", "--task", "X-v0"), "task: of no effect without a teacher"),
        (("--data", "d", "--until", "0.9"), "until: of no effect without a teacher"),
        (("--data", "d", "--backend", "envpool", "--import", "m"), "backend, imports: of no"),
        (("--data", "d", "--num-envs", "4"), "num_envs has no effect with data"),
        (("t.zip", "--data", "d", "--num-envs", "4"), "num_envs has no effect with data"),
        (("--data", "d", "--vecnormalize", "v.pkl"), "vecnormalize: of no effect"),
        (("--data", "d", "--student-act", "sample"), "student_act: of no effect"),
        (("--data", "d", "--check"), "--check needs a verdict, and without a TEACHER"),
        (("t.zip", "--task", "X-v0", "--force"), "--force replaces the run in the folder that"),
    ],
)
def test_a_flag_without_effect_is_refused(
    rldistill: Command, flags: tuple[str, ...], message: str
) -> None:
    """Before anything is read or made."""
    result = rldistill("distill", *flags)
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_recipe_cannot_move_a_resumed_run(rldistill: Command, teacher: Path) -> None:
    few = ("distill", teacher, *TASK, "--steps", 64, "--num-envs", 4, "--out", "a")
    assert rldistill(*few).code == 0
    Path("mine.toml").write_text('out = "b"\nsteps = 128\n')
    result = rldistill("distill", "--resume", "a", "--recipe", "mine.toml")
    assert result.code == 1
    assert "--out and --force have no effect" in result.err


def test_a_teacher_that_does_not_fit_the_data_names_the_dataset(
    rldistill: Command, teacher: Path
) -> None:
    assert rldistill("collect", teacher, *TASK, "--steps", 100, "--out", "data").code == 0
    result = rldistill("distill", SHIPPED / "cartpole-dqn.zip", "--data", "data")
    assert result.code == 1
    assert "the teacher takes observations of shape (4,), the dataset gives (2,)" in result.err


def test_a_command_that_failed_early_may_be_given_again(rldistill: Command, teacher: Path) -> None:
    """The environment broke before anything was saved."""
    few = ("distill", teacher, *TASK, "--steps", 64, "--num-envs", 4, "--out", "a")
    assert rldistill(*few, "--env-kwargs", "raise_at=20").code == 1
    assert Path("a/run.json").exists()
    assert rldistill(*few).code == 0
    again = rldistill(*few)
    assert again.code == 1
    assert "already holds a run" in again.err


def test_environment_flags_make_a_task() -> None:
    flags = EnvironmentFlags(env_kwargs="a=1", wrapper="m:f", imports=("m",))
    task = flags.task("X-v0")
    assert (task.id, task.backend, dict(task.env_kwargs)) == ("X-v0", "auto", {"a": 1})
    assert (task.wrapper, task.imports) == ("m:f", ("m",))
    with pytest.raises(SettingError, match="wrapper needs gymnasium environments"):
        EnvironmentFlags(backend="envpool", wrapper="m:f").task("X-v0")


@pytest.mark.parametrize("command", ["distill", "evaluate", "collect", "demo", "runs", "methods"])
def test_help_is_whole_sentences_without_python(rldistill: Command, command: str) -> None:
    result = rldistill(command, "--help")
    assert result.code == 0
    for word in ("(default", "NoneType", "{", "STR", "VALUE"):
        assert word not in result.out, word
