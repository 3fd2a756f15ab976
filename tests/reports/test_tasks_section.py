"""Runs of several tasks, as `merge` and `train` write them."""

from pathlib import Path
from typing import Any

from made_runs import made_run

from rldistill.reports.record import RunRecord, read_run
from rldistill.reports.single import sentence
from rldistill.reports.tasks_section import tasks_section
from rldistill.runs import RunFolder

MERGED: dict[str, Any] = {
    "verdict": "fails", "reason": "A-v0: holds; B-v0: fails", "fraction": None,
    "student_return": None, "teacher_return": None,
    "tasks": {
        "A-v0": {"verdict": "holds", "fraction": 0.99, "fraction_low": 0.97, "episodes": 64},
        "B-v0": {"verdict": "fails", "fraction": -0.157, "fraction_low": -0.2, "episodes": 64},
    },
}  # fmt: skip


def record(path: Path, outcome: dict[str, Any]) -> RunRecord:
    told = {"task": None, "task_ids": ["A-v0", "B-v0"]}
    return read_run(RunFolder.open(made_run(path, student=told, outcome=outcome)))


def test_a_row_per_task_with_the_numbers_that_are_known(tmp_path: Path) -> None:
    run = record(tmp_path / "run", MERGED)
    assert (run.state, run.task) == ("finished", "A-v0 + B-v0")
    section = tasks_section(run)
    assert section is not None
    (table,) = section.tables
    assert [c.name for c in table.columns] == ["task", "verdict", "fraction", "low", "episodes"]
    assert table.rows == (
        ("A-v0", "holds", 0.99, 0.97, 64),
        ("B-v0", "fails", -0.157, -0.2, 64),
    )


def test_the_sentence_counts_the_tasks_that_hold(tmp_path: Path) -> None:
    """And names the worst; it does not say that there is no verdict."""
    assert sentence(record(tmp_path / "run", MERGED)) == (
        "Its 100 parameters (10 % of the teacher's 1,000) hold on 1 of 2 tasks: they keep from "
        "-15.7 % (B-v0) to 99 % (A-v0) of what the teacher of the task gains over the random "
        "policy."
    )


def test_a_teacher_of_several_tasks_shows_its_returns(tmp_path: Path) -> None:
    tasks = {name: {"return": 5.0, "low": 4.0, "episodes": 8} for name in ("A-v0", "B-v0")}
    run = record(tmp_path / "run", MERGED | {"verdict": None, "tasks": tasks})
    section = tasks_section(run)
    assert section is not None
    assert section.tables[0].rows[0] == ("A-v0", None, 5.0, 4.0, 8)


def test_one_task_makes_no_section(tmp_path: Path) -> None:
    assert tasks_section(record(tmp_path / "a", {})) is None
    one = {"tasks": {"A-v0": {"fraction": 1.0}}}
    assert tasks_section(record(tmp_path / "b", one)) is None
