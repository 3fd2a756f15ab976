"""rldistill evaluate: what it prints, for people and for machines."""

from pathlib import Path

import pytest
from commands import TASK, Command, check_types
from small_runs import SHIPPED, follower_folder

from rldistill.runs import RunFolder

FEW = ("--episodes", 256)


def test_the_last_line_has_the_keys_of_distill(rldistill: Command, teacher: Path) -> None:
    result = rldistill("evaluate", teacher, *TASK, "--against", teacher, *FEW, "--json", "--check")
    assert (result.code, result.err) == (0, "")
    (record,) = result.records
    check_types(record, {"episodes_to_settle", "env_steps", "train_seconds", "run"})
    assert record["verdict"] == "holds"
    assert record["fraction"] == record["agreement"] == 1.0
    assert record["agreement_detail"]["student_states"]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert record["paired"] is True
    for key in ("student_iqm", "student_low", "student_high", "student_bytes",
                "student_latency_seconds", "teacher_iqm", "teacher_low", "teacher_high",
                "teacher_bytes", "teacher_latency_seconds", "random_iqm", "random_low",
                "random_high", "random_std"):  # fmt: skip
        assert isinstance(record[key], int | float), key


def test_a_run_that_is_measured_is_named(rldistill: Command, teacher: Path) -> None:
    """As distill does, by its whole path; a folder that is no run of ours is not one."""
    few = ("--student", "mlp:8", "--num-envs", 16, "--steps", 64)
    assert rldistill("distill", teacher, *TASK, *few, "--out", "a").code == 0
    for policy, run in (("a", str(Path.cwd() / "a")), (teacher, None)):
        (record,) = rldistill("evaluate", policy, *TASK, "--episodes", 8, "--json").records
        assert record["run"] == run


def test_alone_there_is_no_verdict(rldistill: Command, teacher: Path) -> None:
    result = rldistill("evaluate", teacher, *TASK, "--episodes", 8, "--json")
    (record,) = result.records
    present = {"student_return", "episodes", "act", "student_parameters", "total_seconds"}
    assert all((record[key] is not None) == (key in present)
               for key in ("verdict", "floor", "fraction", "teacher_return", "paired", "agreement",
                           "run", *present))  # fmt: skip
    refused = rldistill("evaluate", teacher, *TASK, "--episodes", 8, "--check")
    assert (refused.code, "needs --against TEACHER" in refused.err) == (1, True)


def test_plain_output_beside_a_teacher(rldistill: Command, teacher: Path, tmp_path: Path) -> None:
    worse = follower_folder(tmp_path / "worse", threshold=0.5)
    result = rldistill("evaluate", worse, *TASK, "--against", teacher, *FEW, "--check")
    assert (result.code, result.err) == (3, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("Follow-v0 on gymnasium, 256 episodes of each policy, 8 steps per")
    assert any(line.startswith("note       the task declares no step limit") for line in lines)
    table = {line[:13].strip(): line[13:].split() for line in lines}
    assert table["IQM"][1] == table["mean return"][1] == "8"
    assert (table["parameters"], table["bytes"]) == (["6", "6", "-"], ["24", "24", "-"])
    assert table["one decision"][1::2] == ["us", "us"]
    assert table["acts by"] == ["mode", "mode", "-"]
    (agreement,) = [line for line in lines if line.startswith("agreement  on the student's ")]
    assert agreement.count(" % same action, KL 0.") == agreement.count(" nats") == 2
    assert "all returns of the teacher are equal, so its interval has no width; at 95 %, " in (
        result.out
    )
    assert "fewer than 1.2 % of its episodes return anything else" in result.out
    assert "all returns of the student" not in result.out
    assert any(line.startswith("fraction   0.") and line.endswith("paired") for line in lines)
    assert any(line.startswith("verdict    fails: 256 episodes") for line in lines)


def test_plain_output_alone(rldistill: Command, teacher: Path) -> None:
    result = rldistill("evaluate", teacher, *TASK, "--episodes", 8)
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert ["mean", "return", "8"] in rows
    assert ["95", "%", "interval", "[8,", "8]"] in rows
    assert "teacher" not in result.out
    assert "verdict" not in result.out
    assert "fraction" not in result.out


def test_a_floor_of_ones_own(rldistill: Command, teacher: Path, tmp_path: Path) -> None:
    worse = follower_folder(tmp_path / "worse", threshold=0.5)
    result = rldistill("evaluate", worse, *TASK, "--against", teacher, *FEW, "--floor", "0.3")
    assert "verdict    holds: " in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.zip", *TASK), "nothing.zip"),
        ((SHIPPED / "cartpole-dqn.zip", *TASK),
         "the policy takes observations of shape (4,), the task gives (2,)"),
        (("teacher", *TASK, "--against", SHIPPED / "cartpole-dqn.zip"),
         "the teacher takes observations of shape (4,), the task gives (2,)"),
        (("teacher", "--task", "Folow-v0"), "Did you mean Follow-v0?"),
        (("teacher", *TASK, "--against", "teacher", "--floor", "2"), "floor must lie in (0, 1]"),
        (("teacher", *TASK, "--episodes", "0"), "episodes must be at least 1, got 0"),
        (("teacher", *TASK, "--seed", "-1"), "seed must be at least 0, got -1"),
        (("teacher", *TASK, "--floor", "0.95"), "--floor is about the verdict or the teacher"),
        (("teacher", *TASK, "--teacher-act", "mode"), "it needs --against TEACHER"),
        (("begun", *TASK), "has not saved a student yet: continue it with `rldistill distill --re"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    rldistill: Command, teacher: Path, arguments: tuple[object, ...], message: str
) -> None:
    RunFolder.create("begun")
    result = rldistill("evaluate", *arguments)
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1


def test_an_endless_task_is_cut_and_told(rldistill: Command, teacher: Path) -> None:
    """Its episode has as many steps as the limit that nobody named."""
    result = rldistill("evaluate", teacher, *TASK, "--episodes", 1, "--env-kwargs", "endless=true")
    assert result.code == 0
    assert "27000 steps per episode" in result.out
    assert "episodes are cut at 27,000 steps" in result.out


def test_task_and_policy_are_required(rldistill: Command, teacher: Path) -> None:
    assert rldistill("evaluate", teacher).code == 2
    assert rldistill("evaluate").code == 2
