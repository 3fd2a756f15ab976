"""rldistill runs: every run folder on one line, whatever state it is in."""

import datetime
from pathlib import Path

import pytest
from commands import TASK, Command
from live_modules import Plain
from small_runs import quick_settings

from rldistill import distill
from rldistill.runs import RunFolder


@pytest.fixture
def finished(rldistill: Command, teacher: Path) -> Path:
    few = ("--steps", 64, "--num-envs", 4, "--student", "mlp:4", "--out", "runs/done")
    assert rldistill("distill", teacher, *TASK, *few).code == 0
    return Path("runs/done")


def test_no_runs_yet(rldistill: Command, tmp_path: Path) -> None:
    assert rldistill("runs").out == "no runs yet\n"
    assert rldistill("runs", "--json").out == ""
    (tmp_path / "empty").mkdir()
    assert rldistill("runs", "empty").out == "no runs in empty\n"
    missing = rldistill("runs", "nowhere")
    assert missing.code == 1
    assert "nowhere" in missing.err


def test_a_finished_run(rldistill: Command, finished: Path) -> None:
    result = rldistill("runs")
    assert (result.code, result.err) == (0, "")
    heading, row = (line.split() for line in result.out.splitlines())
    assert heading == [
        "state", "verdict", "floor", "fraction", "parameters", "student", "task", "made", "run",
    ]  # fmt: skip
    assert (row[0], row[2], row[4:7], row[-1]) == (
        "finished", "0.95", ["22", "mlp:4", "Follow-v0"], str(finished.absolute()),
    )  # fmt: skip
    today = datetime.datetime.now().astimezone()
    assert row[7] in {f"{today - datetime.timedelta(days=days):%Y-%m-%d}" for days in (0, 1)}
    (record,) = rldistill("runs", "--json").records
    assert record["state"] == "finished"
    assert record["task"] == "Follow-v0"
    assert record["verdict"] in ("holds", "fails", "unsure")
    assert record["parameters"] == 4 * 3 + 2 * 5


def test_runs_that_were_cut_off(rldistill: Command, finished: Path) -> None:
    """Before anything was saved, and after the student was."""
    RunFolder.create("runs/begun")
    (finished / "verdict.json").unlink()
    records = {Path(r["run"]).name: r for r in rldistill("runs", "--json").records}
    assert {name: r["state"] for name, r in records.items()} == {
        "done": "not finished", "begun": "not finished",
    }  # fmt: skip
    assert all("verdict" in record for record in records.values())
    assert "not finished  -        -      -         22          mlp:4" in rldistill("runs").out


def test_a_live_student_is_named_and_cannot_be_loaded(rldistill: Command, teacher: Path) -> None:
    """runs shows its class; evaluate and distill say that only Python can load it."""
    settings = quick_settings(steps=64)
    distill(teacher, "Follow-v0", Plain(), out="runs/live", settings=settings)
    (record,) = rldistill("runs", "--json").records
    assert record["architecture"] == "(a live object: Plain)"
    assert record["parameters"] == 42
    assert "(a live object: Plain)" in rldistill("runs").out
    for command in ("evaluate", "distill"):
        result = rldistill(command, "runs/live", *TASK)
        assert result.code == 1
        assert "its student is a Plain, a live object of the Python program" in result.err
        assert "the command line cannot make a network of them" in result.err


@pytest.mark.parametrize("name", ["student.json", "verdict.json"])
@pytest.mark.parametrize("damage", ["", "{", "[]", "null"])
def test_damaged_runs(rldistill: Command, finished: Path, name: str, damage: str) -> None:
    (finished / name).write_text(damage)
    (record,) = rldistill("runs", "--json").records
    assert record["state"] == "damaged"
    result = rldistill("runs")
    assert (result.code, result.err) == (0, "")
    assert "damaged" in result.out


@pytest.mark.parametrize("key", ["verdict", "fraction", "floor", "env_steps"])
def test_odd_types_in_a_damaged_run(rldistill: Command, finished: Path, key: str) -> None:
    """Files of others are not trusted to hold numbers where numbers should be."""
    (finished / "verdict.json").write_text(f'{{"{key}": []}}')
    result = rldistill("runs")
    assert result.code == 0
    assert "damaged" in result.out


def test_other_folders_are_not_runs(rldistill: Command, finished: Path) -> None:
    (finished.parent / "thesis").mkdir()
    (finished.parent / "run.json").write_text("{}")
    assert len(rldistill("runs", "--json").records) == 1
