"""rldistill inspect: what is inside a policy file, without running anything in it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldistill.cli.terminal import option, parse, print_json, switch
from rldistill.errors import UsageError


@dataclass(frozen=True)
class Flags:
    """Say what is inside a policy file; nothing in it is run, and no pickle is opened.

    Example: rldistill inspect teacher.zip
    """

    file: Annotated[str, tyro.conf.Positional, option("FILE")]
    """Any file that can be a teacher, a run folder, or hf://ORG/NAME."""
    card: Annotated[Path | None, option("FILE")] = None
    """Card of a file of weights (docs/cards.md). Default: NAME.toml beside it."""
    json: Annotated[bool, switch()] = False
    """One JSON object on one line, with the shapes of all tensors."""


def run(arguments: list[str]) -> int:
    """Inspect; returns the exit code."""
    flags = parse(Flags, "inspect", arguments)
    from rldistill.teachers.hub import fetch
    from rldistill.teachers.inspection import describe, inspect_file
    from rldistill.teachers.uris import HubFile, parse_uri

    wanted = parse_uri(flags.file)
    if wanted is not None and not isinstance(wanted, HubFile):
        raise UsageError(f"inspect reads one file; {flags.file} is none")
    path = Path(flags.file) if wanted is None else fetch(wanted)
    record = inspect_file(path, flags.card)
    if flags.json:
        print_json(record)
    else:
        sys.stdout.write("\n".join(describe(record)) + "\n")
    return 0
