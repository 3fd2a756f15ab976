"""rldistill compare: which of several runs is better, paired by seed where that can be."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rldistill.cli.terminal import interval, number, option, parse, print_json, switch
from rldistill.errors import UsageError

if TYPE_CHECKING:
    from rldistill.reports.compare import Comparison


@dataclass(frozen=True)
class Flags:
    """Compare the students of runs: every pair, by the episodes that each run measured at its end.

    Example: rldistill compare runs/a runs/b
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, option("RUN RUN...")]
    """Run folders of one task; a folder of run folders stands for all of them."""
    normalised: Annotated[bool, switch()] = False
    """Compare fractions of the teachers' returns, so that tasks may differ."""
    json: Annotated[bool, switch()] = False
    """One JSON object per pair."""


def run(arguments: list[str]) -> int:
    """Compare and print; returns the exit code."""
    flags = parse(Flags, "compare", arguments)
    if not flags.runs:
        raise UsageError("two runs are required, for example: rldistill compare runs/a runs/b")
    from rldistill.reports.compare import compare_runs
    from rldistill.reports.write import find_runs

    for found in compare_runs(find_runs(flags.runs), normalised=flags.normalised):
        if flags.json:
            print_json(found.to_json())
        else:
            sys.stdout.write("\n".join(lines(found)) + "\n\n")
    return 0


def lines(found: "Comparison") -> list[str]:
    """One pair for people."""
    gap = found.difference
    said = [
        f"{found.a} - {found.b}",
        f"difference   {number(gap.value)} {interval(gap.low, gap.high)} {found.unit}, 95 % "
        f"bootstrap over {found.episodes} {'pairs' if found.paired else 'episodes'}",
        f"improvement  {number(found.improvement)}: chance that an episode of the first returns "
        "more, ties half",
    ]
    if found.pairs is None:
        said.append(f"unpaired     {found.why}")
    else:
        pairs = found.pairs
        said.append(
            f"paired       by seed: {pairs.wins} wins, {pairs.ties} ties, {pairs.losses} losses, "
            f"sign test p = {number(pairs.p_value, 3)}"
        )
    return [*said, f"result       {found.said}"]
