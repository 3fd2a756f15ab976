"""rldistill methods: the rows of the method table."""

import sys
from dataclasses import dataclass
from typing import Annotated

from rldistill.cli.terminal import parse, print_json, switch
from rldistill.methods.catalogue import DEFAULT, ROWS


@dataclass(frozen=True)
class Flags:
    """List the rows of the method table: who acts, what is matched, where it comes from."""

    json: Annotated[bool, switch()] = False
    """One JSON object per row."""


def run(arguments: list[str]) -> int:
    """Print the table."""
    flags = parse(Flags, "methods", arguments)
    for row in ROWS.values():
        if flags.json:
            record = {"name": row.name, "loss": row.loss, "summary": row.summary}
            print_json(record | {"source": row.source, "default": row.name == DEFAULT})
        else:
            mark = "*" if row.name == DEFAULT else " "
            sys.stdout.write(f"{mark} {row.name:<18} {row.loss:<14} {row.summary}\n")
    if not flags.json:
        sys.stdout.write("* the default\n")
    return 0
