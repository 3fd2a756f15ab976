"""rldistill demo: the main job on a teacher that ships with the package; needs nothing."""

import sys
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

from rldistill.cli import distill
from rldistill.cli.flags import whole_number
from rldistill.cli.terminal import command_line, option, parse, switch

TEACHER = "lunarlander-ppo.zip"
TASK = "LunarLander-v3"
STUDENT = "mlp:16,16"


@dataclass(frozen=True)
class Flags:
    """Distil the shipped LunarLander teacher (PPO, 64x64) into a tenth of its size.

    Example: rldistill demo --out runs/demo
    """

    out: Annotated[Path | None, option("DIR")] = None
    """Run folder. Default: a new one under runs/."""
    seed: Annotated[int | None, option("N"), whole_number("--seed")] = None
    """Seed of everything random. Default: 0."""
    force: Annotated[bool, switch()] = False
    """Replace the run that is already in the --out folder."""
    no_report: Annotated[bool, switch()] = False
    """Leave out the page, report.html in the run folder."""
    json: Annotated[bool, switch()] = False
    """One JSON object per line; the last has the verdict."""
    check: Annotated[bool, switch()] = False
    """Exit with code 3 when the verdict is not `holds`."""


def run(arguments: list[str]) -> int:
    """Distil the shipped teacher; returns the exit code."""
    flags = parse(Flags, "demo", arguments)
    with as_file(files("rldistill.teachers") / "shipped" / TEACHER) as teacher:
        wanted = distill.Flags(
            teacher=str(teacher),
            task=TASK,
            student=STUDENT,
            out=flags.out,
            seed=flags.seed,
            force=flags.force,
            no_report=flags.no_report,
            json=flags.json,
            check=flags.check,
        )
        if not flags.json:
            sys.stdout.write(
                f"rldistill distill {TEACHER} --task {TASK} --student {STUDENT} --until 0.95\n"
            )
        return distill.distil_and_show(wanted, command_line("demo", arguments))
