"""rldistill methods: the rows of the method table."""

import json
import sys
from dataclasses import dataclass

import tyro

from rldistill.methods.catalogue import DEFAULT, ROWS


@dataclass(frozen=True)
class Flags:
    """List the rows of the method table: who acts, what is matched, where it comes from."""

    json: bool = False
    """One JSON object per row."""


def run(arguments: list[str]) -> int:
    """Print the table."""
    flags = tyro.cli(Flags, args=arguments, prog="rldistill methods")
    for row in ROWS.values():
        if flags.json:
            record = {"name": row.name, "loss": row.loss, "summary": row.summary}
            sys.stdout.write(json.dumps(record | {"source": row.source}) + "\n")
        else:
            mark = "*" if row.name == DEFAULT else " "
            sys.stdout.write(f"{mark} {row.name:<18} {row.loss:<14} {row.summary}\n")
    if not flags.json:
        sys.stdout.write("* the default\n")
    return 0
