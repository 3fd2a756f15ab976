"""rldistill runs: list run folders."""

import datetime
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rldistill.cli.terminal import number, option, parse, print_json, switch
from rldistill.reports.record import plain_text, read_run
from rldistill.runs import RunFolder, list_runs

NUMBERS = ("parameters", "fraction", "floor", "student_return", "env_steps")


@dataclass(frozen=True)
class Flags:
    """List the run folders in a folder, oldest first, with their verdicts, sizes and dates.

    Example: rldistill runs experiments
    """

    folder: Annotated[Path, tyro.conf.Positional, option("FOLDER")] = Path("runs")
    """Where to look. Default: runs."""
    json: Annotated[bool, switch()] = False
    """One JSON object per run."""


def run(arguments: list[str]) -> int:
    """List; returns the exit code."""
    flags = parse(Flags, "runs", arguments)
    none_yet = flags.folder == Path("runs") and not flags.folder.exists()
    records = [] if none_yet else [describe(folder) for folder in list_runs(flags.folder)]
    if flags.json:
        for record in records:
            print_json(record)
    elif records:
        sys.stdout.write("\n".join(table(records)) + "\n")
    else:
        sys.stdout.write("no runs yet\n" if none_yet else f"no runs in {flags.folder}\n")
    return 0


def describe(folder: RunFolder) -> dict[str, Any]:
    """What there is to say of a run, also of one that was cut off or is damaged."""
    found = read_run(folder, with_curve=False)
    told = {key: found.number(key) for key in NUMBERS}
    return {
        "run": str(folder.root),
        "state": found.state,
        "created": found.created or None,
        "task": found.task,
        "architecture": found.student.get("architecture"),
        "method": found.student.get("method"),
        "verdict": found.word,
        **told,
    }


HEADINGS = (
    "state", "verdict", "floor", "fraction", "parameters", "student", "task", "made", "run",
)  # fmt: skip


def table(records: list[dict[str, Any]]) -> list[str]:
    """Aligned columns for people; the path comes last, since it may be long."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for record in records:
        words = [record["state"], record["verdict"], number(record["floor"])]
        size = record["parameters"]
        words += [number(record["fraction"]), None if size is None else f"{size:,}"]
        words += [record["architecture"], record["task"], made(record["created"])]
        rows.append((*(str(word or "-") for word in words), plain_text(record["run"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def made(created: str | None) -> str | None:
    """When a run was made, to the minute, on this machine's clock."""
    try:
        moment = datetime.datetime.fromisoformat(created or "")
    except ValueError:
        return None
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
