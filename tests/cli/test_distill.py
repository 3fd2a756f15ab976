"""rldistill distill: the main job, its JSON and plain output, exit codes, recipes."""

import json
import tomllib
from pathlib import Path

import pytest
from commands import TASK, Command, check_types
from small_runs import DAGGER, SHIPPED, follower_folder

from rldistill.methods.catalogue import DEFAULT, ROWS


def test_the_main_job_on_cartpole(rldistill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default method as it is: a small student that is shown to hold."""
    monkeypatch.setitem(ROWS, DEFAULT, DAGGER)
    job = ("distill", SHIPPED / "cartpole-dqn.zip", "--task", "CartPole-v1")
    result = rldistill(*job, "--student", "mlp:16,16", "--until", "0.95", "--json", "--check")
    assert (result.code, result.err) == (0, "")
    last = result.records[-1]
    check_types(last, absent={"episodes_to_settle"})
    assert last["verdict"] == "holds"
    assert last["fraction"] > 0.95
    assert last["teacher_return"] == 500.0
    assert last["student_parameters"] == 386
    assert last["act"] == {"student": "mode", "teacher": "mode"}
    assert Path(last["run"]).parent.name == "runs"
    assert json.loads((Path(last["run"]) / "verdict.json").read_text()) == last
    assert all({"phase", "env_steps", "loss"} <= set(record) for record in result.records[:-1])


def test_only_teacher_and_task_are_required(rldistill: Command, teacher: Path) -> None:
    result = rldistill("distill", teacher, *TASK)
    assert (result.code, result.err) == (0, "")
    assert "verdict    holds: " in result.out


def test_the_plain_output_says_it_all(rldistill: Command, teacher: Path) -> None:
    """Without a terminal: lines that a stranger can read, none of them cut."""
    result = rldistill("distill", teacher, *TASK, "--student", "mlp:8", "--out", "mine")
    for what in ("teacher  mlp:linear", "student  mlp:8: 42 parameters", "task     Follow-v0",
                 "returns  teacher 8, random policy ", "screened: 64 episodes, return ",
                 "to be confirmed", "candidate 1: 64 episodes", ": not settled yet",
                 ": holds", "fraction   ", "of the teacher's, paired", "agreement  ",
                 " environment steps, ", " s of training, ", "run        "):  # fmt: skip
        assert what in result.out, what
    assert "\x1b" not in result.out
    table = [line.split() for line in result.out.splitlines()]
    assert ["student", "teacher", "random"] in table
    assert ["parameters", "42", "6", "-"] in table
    assert ["acts", "by", "mode", "mode", "-"] in table
    assert result.out.count(" % same action, KL ") == 2


def test_a_quick_failure_has_exit_code_3_with_check(rldistill: Command, teacher: Path) -> None:
    """Without --check a verdict is an answer, and an answer is no error."""
    few = ("distill", teacher, *TASK, "--steps", 64, "--num-envs", 4, "--force", "--out", "mine")
    assert rldistill(*few).code == 0
    result = rldistill(*few, "--check", "--json")
    assert result.code == 3
    last = result.records[-1]
    assert last["verdict"] in ("fails", "unsure")
    check_types(last, absent=set() if last["verdict"] == "unsure" else {"episodes_to_settle"})


def test_no_verdict_fails_a_check(rldistill: Command, tmp_path: Path) -> None:
    """A teacher like random, as one whose VecNormalize file is missing: hint, and null."""
    always_zero = follower_folder(tmp_path / "zero", threshold=3.0)
    few = ("distill", always_zero, *TASK, "--steps", 64, "--num-envs", 4, "--force", "--out", "a")
    result = rldistill(*few, "--json", "--check")
    assert result.code == 3
    assert "VecNormalize file missing (--vecnormalize PATH)?" in result.records[1]["message"]
    last = result.records[-1]
    check_types(last, {"verdict", "fraction", "fraction_low", "fraction_high",
                       "episodes_to_settle"})  # fmt: skip
    assert "not shown to beat the random policy" in last["reason"]
    plain = rldistill(*few)
    assert "warning  the teacher plays no better than random" in plain.out
    assert "verdict    no verdict: the teacher is not shown" in plain.out


def test_a_recipe_and_flags_that_override_it(rldistill: Command, teacher: Path) -> None:
    Path("mine.toml").write_text(
        f'teacher = "{teacher}"\ntask = "Follow-v0"\nimports = ["small_runs"]\n'
        'student = "mlp:5"\nsteps = 100\nseed = 3\n'
    )
    result = rldistill("distill", "--recipe", "mine.toml", "--seed", 4, "--out", "run", "--json")
    assert result.code == 0
    written = tomllib.loads(Path("run/recipe.toml").read_text())
    assert (written["student"], written["seed"], written["steps"]) == ("mlp:5", 4, 100)
    again = rldistill("distill", "--recipe", "run/recipe.toml", "--out", "again", "--json")
    assert again.code == 0
    assert (
        Path("run/student.safetensors").read_bytes()
        == Path("again/student.safetensors").read_bytes()
    )


def test_the_environment_can_be_shaped(rldistill: Command, teacher: Path) -> None:
    """--env-kwargs and --wrapper: five times the reward, then half of it."""
    few = ("distill", teacher, *TASK, "--steps", 64, "--num-envs", 4, "--json", "--force")
    scaled = rldistill(*few, "--out", "a", "--env-kwargs", "scale=5")
    assert scaled.records[-1]["teacher_return"] == 40.0
    both = rldistill(
        *few, "--out", "a", "--env-kwargs", '{"scale": 5}', "--wrapper", "small_runs:halve"
    )
    assert both.records[-1]["teacher_return"] == 20.0


def test_acting_is_stored_with_the_run(rldistill: Command, teacher: Path) -> None:
    few = ("distill", teacher, *TASK, "--steps", 64, "--num-envs", 4, "--json", "--out", "a")
    result = rldistill(*few, "--teacher-act", "sample", "--student-act", "sample")
    assert result.records[-1]["act"] == {"student": "sample", "teacher": "sample"}
    assert json.loads(Path("a/student.json").read_text())["student_act"] == "sample"
