"""rldistill methods: the rows of the method table."""

import sys
from dataclasses import dataclass
from typing import Annotated

from rldistill.cli.terminal import parse, print_json, switch
from rldistill.methods.catalogue import DEFAULT, ROWS
from rldistill.methods.method import Method


@dataclass(frozen=True)
class Flags:
    """List the rows of the method table: who acts, what is matched, where it comes from.

    Example: rldistill methods --json
    """

    json: Annotated[bool, switch()] = False
    """One JSON object per row."""


def run(arguments: list[str]) -> int:
    """Print the table."""
    flags = parse(Flags, "methods", arguments)
    widths = [max(len(text(row)) for row in ROWS.values()) for text in (name, loss)]
    for row in ROWS.values():
        if flags.json:
            record = {"name": row.name, "loss": row.loss, "summary": row.summary}
            print_json(record | {"source": row.source, "default": row.name == DEFAULT})
        else:
            mark = "*" if row.name == DEFAULT else " "
            start = f"{mark} {name(row):<{widths[0]}}  {loss(row):<{widths[1]}}"
            sys.stdout.write(f"{start}  {row.summary}\n")
    if not flags.json:
        sys.stdout.write("* the default\n")
    return 0


def name(row: Method) -> str:
    """Its name."""
    return row.name


def loss(row: Method) -> str:
    """The name of its loss, or a dash."""
    return row.loss or "-"
