"""rldistill runs: list run folders."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rldistill.cli.common import number, option, parse, print_json
from rldistill.errors import RunFolderError
from rldistill.runs import RunFolder, list_runs, read_json


@dataclass(frozen=True)
class Flags:
    """List the run folders in a folder, oldest first, with their verdicts and sizes."""

    folder: Annotated[Path, tyro.conf.Positional, option("FOLDER")] = Path("runs")
    """Where to look. Default: runs."""
    json: bool = False
    """One JSON object per run."""


def run(arguments: list[str]) -> int:
    """List; returns the exit code."""
    flags = parse(Flags, "runs", arguments)
    if not flags.folder.exists() and flags.folder == Path("runs"):
        sys.stdout.write("no runs yet\n")
        return 0
    records = [describe(folder) for folder in list_runs(flags.folder)]
    for record in records:
        if flags.json:
            print_json(record)
        else:
            sys.stdout.write(line(record) + "\n")
    if not records and not flags.json:
        sys.stdout.write(f"no runs in {flags.folder}\n")
    return 0


def describe(folder: RunFolder) -> dict[str, Any]:
    """What there is to say of a run, also of one that was cut off or is damaged."""
    record: dict[str, Any] = {"run": str(folder.root), "state": "not finished"}
    for path, keys in (
        (folder.student_json, ("task", "architecture", "method", "parameters")),
        (folder.verdict_json, ("verdict", "fraction", "floor", "student_return", "env_steps")),
    ):
        try:
            found = read_json(path) if path.exists() else {}
        except RunFolderError:
            record["state"] = "damaged"
            continue
        record |= {key: found.get(key) for key in keys}
        if path == folder.verdict_json and found:
            record["state"] = "finished"
    if isinstance(record.get("task"), dict):
        record["task"] = record["task"].get("id")
    return record


def line(record: dict[str, Any]) -> str:
    """One line for people."""
    words = [
        f"{record['run']}: {record['state']}",
        str(record.get("task") or ""),
        str(record.get("architecture") or ""),
    ]
    if record["state"] == "finished":
        words.append(
            f"{record.get('verdict') or 'no verdict'} at {number(record.get('floor'))}, "
            f"fraction {number(record.get('fraction'))}"
        )
    return "  ".join(word for word in words if word)
