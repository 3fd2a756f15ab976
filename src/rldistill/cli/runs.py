"""rldistill runs: list run folders."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rldistill.cli.terminal import number, option, parse, print_json, switch
from rldistill.errors import RunFolderError
from rldistill.runs import RunFolder, list_runs, read_json

# What is told of a run, the file that it is in, and its type where it is not null.
STUDENT_KEYS: dict[str, Any] = {"task": dict, "architecture": str, "method": str, "parameters": int}
VERDICT_KEYS: dict[str, Any] = {
    "verdict": str,
    "fraction": (int, float),
    "floor": (int, float),
    "student_return": (int, float),
    "env_steps": int,
}


@dataclass(frozen=True)
class Flags:
    """List the run folders in a folder, oldest first, with their verdicts and sizes.

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
    record: dict[str, Any] = {"run": str(folder.root), "state": "not finished"}
    record |= dict.fromkeys([*STUDENT_KEYS, *VERDICT_KEYS])
    try:
        record |= read_keys(folder.student_json, STUDENT_KEYS)
        record["task"] = (record["task"] or {}).get("id")
        if folder.verdict_json.exists():
            record |= read_keys(folder.verdict_json, VERDICT_KEYS)
            record["state"] = "finished"
    except RunFolderError:
        record["state"] = "damaged"
    return record


def read_keys(path: Path, types: dict[str, Any]) -> dict[str, Any]:
    """These keys of a JSON file, None where it or they are missing.

    Raises:
        RunFolderError: the file is damaged, or a value has another type.
    """
    found = read_json(path) if path.exists() else {}
    for key, kind in types.items():
        if found.get(key) is not None and not isinstance(found[key], kind):
            raise RunFolderError(f"{path}: {key} is {found[key]!r}")
    return {key: found.get(key) for key in types}


HEADINGS = ("state", "verdict", "floor", "fraction", "student", "task", "run")


def table(records: list[dict[str, Any]]) -> list[str]:
    """Aligned columns for people; the path comes last, since it may be long."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for record in records:
        words = [record["state"], record["verdict"], number(record["floor"])]
        words += [number(record["fraction"]), record["architecture"], record["task"]]
        rows.append((*(str(word or "-") for word in words), str(record["run"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
