"""rldistill train: a teacher on disk, and what it says on the way."""

from pathlib import Path

import pytest
from commands import TASK, Command

from rldistill.runs import read_json
from rldistill.teachers.load import load_teacher

FEW = ("train", *TASK, "--num-envs", 8, "--network", "mlp:16,relu,layernorm", "--episodes", 4)


def test_it_trains_and_says_where(rldistill: Command) -> None:
    result = rldistill(*FEW, "--steps", 600, "--out", "run", "--gamma", 0.5)
    assert (result.code, result.err) == (0, "")
    assert "network  mlp:16,relu,layernorm: " in result.out
    assert "Follow-v0: return " in result.out
    assert " over 4 episodes\n" in result.out
    assert load_teacher("run", announce=None).info.head.num_outputs == 2
    card = read_json(Path("run/student.json"))
    assert card["gamma"] == 0.5
    assert card["command"].startswith("rldistill train --task Follow-v0 --import small_runs")


def test_for_machines(rldistill: Command) -> None:
    records = rldistill(*FEW, "--steps", 600, "--out", "run", "--json").records
    assert [record["phase"] for record in records[:-1]][-1] == "done"
    assert records[-1]["tasks"]["Follow-v0"]["episodes"] == 4
    assert records[-1]["verdict"] is None


def test_it_goes_on_where_it_ended(rldistill: Command) -> None:
    rldistill(*FEW, "--steps", 600, "--out", "run")
    result = rldistill("train", "--resume", "run", "--steps", 1200, "--json")
    assert result.code == 0
    assert result.records[0]["env_steps"] >= 600
    assert result.records[-1]["env_steps"] >= 1200
    # How it was made is still known.
    command = read_json(Path("run/student.json"))["command"]
    assert command.startswith("rldistill train --task Follow-v0 --import small_runs")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("train",), "a task is required: --task ID, or --resume RUN"),
        (("train", "--resume", "absent"), "no run folder"),
        (("train", "--resume", "absent", "--seed", "3"), "--seed has no effect"),
        ((*FEW, "--gamma", "2"), "gamma must lie in [0, 1]"),
        ((*FEW, "--gamma", "half"), "--gamma must be a number"),
        ((*FEW, "--steps", "0"), "steps and episodes must be at least 1"),
        ((*FEW, "--force"), "give out"),
        ((*FEW, "--task", "Follow-v0"), "given more than once: Follow-v0"),
        (("train", "--task", "Breakout-v1"), "no task"),
    ],
)
def test_what_is_wrong_is_told(rldistill: Command, flags: tuple[object, ...], message: str) -> None:
    result = rldistill(*flags)
    assert result.code in (1, 2)
    assert message in result.err
    assert "Traceback" not in result.err
