"""The tasks of a run that has several: what its verdict says of each."""

from collections.abc import Mapping
from typing import Any

from rldistill.reports.record import NUMBER, RunRecord, plain_text
from rldistill.reports.section import Cell, Column, Section, Table

Entry = tuple[str, Mapping[str, Any]]

# Of verdict.json, for each task: the key and its column.
NUMBERS = (
    ("fraction", Column("fraction")),
    ("fraction_low", Column("low", "95 %")),
    ("fraction_high", Column("high", "95 %")),
    ("student_return", Column("student", "reward per episode")),
    ("teacher_return", Column("teacher", "reward per episode")),
    ("random_return", Column("random policy", "reward per episode")),
    ("return", Column("return", "reward per episode")),
    ("low", Column("return low", "95 %")),
    ("high", Column("return high", "95 %")),
    ("episodes", Column("episodes")),
)


def task_entries(run: RunRecord) -> list[Entry]:
    """What verdict.json lists under `tasks`: the id of each task and what is said of it.

    It is an object by id, as `merge` and `train` write it, or a list of objects that name theirs.
    What has no id is left out.
    """
    told = run.outcome.get("tasks") or {}
    if isinstance(told, Mapping):
        return [(name, entry) for name, entry in told.items() if isinstance(entry, Mapping)]
    named = [(_id_of(entry), entry) for entry in told if isinstance(entry, Mapping)]
    return [(plain_text(name), entry) for name, entry in named if isinstance(name, str)]


def _id_of(entry: Mapping[str, Any]) -> object:
    name = entry.get("task", entry.get("id"))
    return name.get("id") if isinstance(name, Mapping) else name


def number_of(entry: Mapping[str, Any], key: str) -> float | int | None:
    """A number that is said of a task; None where it is none."""
    value = entry.get(key)
    return value if isinstance(value, NUMBER) and not isinstance(value, bool) else None


def word_of(entry: Mapping[str, Any]) -> str | None:
    """The verdict on a task."""
    word = entry.get("verdict")
    return word if isinstance(word, str) else None


def tasks_section(run: RunRecord) -> Section | None:
    """A row per task; None where the run has a single one."""
    entries = task_entries(run)
    if len(entries) < 2:
        return None
    known = [
        (key, column)
        for key, column in NUMBERS
        if any(number_of(entry, key) is not None for _, entry in entries)
    ]
    columns = (Column("task"), Column("verdict"), *(column for _, column in known))
    rows: list[tuple[Cell, ...]] = [
        (name, word_of(entry), *(number_of(entry, key) for key, _ in known))
        for name, entry in entries
    ]
    return Section("By task", tables=(Table(columns, tuple(rows), interactive=True),))
