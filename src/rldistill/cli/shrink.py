"""rldistill shrink: the smallest student that is shown to hold."""

import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rldistill.cli.flags import (
    Environment,
    EnvironmentFlags,
    acting,
    one_of,
    real_number,
    whole_number,
)
from rldistill.cli.main import EXIT_CHECK, exit_code
from rldistill.cli.terminal import command_line, option, parse, print_json, switch
from rldistill.errors import UsageError

if TYPE_CHECKING:
    from rldistill.rollout.workers import Workers
    from rldistill.train.shrink_settings import ShrinkSettings
    from rldistill.train.shrink_sweep import Sweep

LOCAL = "local"


@dataclass(frozen=True)
class Flags:
    """Find the smallest student that is shown to hold its teacher's return.

    Example: rldistill shrink teacher.zip --task CartPole-v1 --ladder mlp:8,8 mlp:4,4 mlp:linear
    """

    teacher: Annotated[str, tyro.conf.Positional, option("TEACHER")]
    """A file or a run folder."""
    task: Annotated[str, option("ID")]
    """Environment id."""
    floor: Annotated[float | None, option("FRACTION"), real_number("--floor")] = None
    """Fraction of the teacher's return that is to be held. Default: 0.95."""
    budget: Annotated[
        str, option("params|bytes|latency"), one_of("--budget", "params", "bytes", "latency")
    ] = "params"
    """What is to be small. Default: params."""
    ladder: Annotated[tuple[str, ...], option("SPEC...")] = ()
    """Students to try. Default: from a tenth of the teacher down; see docs/shrink.md."""
    steps: Annotated[int | None, option("N"), whole_number("--steps")] = None
    """Environment steps whose states are labelled, over all students. Default: 245,760."""
    stages: Annotated[int | None, option("N"), whole_number("--stages")] = None
    """Each takes twice the steps of the one before, by half the students. Default: 4."""
    prune: Annotated[tuple[str, ...] | None, option("SHARE...")] = None
    """Shares of the smallest student's weights that are set to 0; none: nothing is pruned.
    Default: 0.5 0.75."""
    no_int8: Annotated[bool, switch()] = False
    """Do not try the smallest student in int8."""
    workers: Annotated[int | None, option("N"), whole_number("--workers")] = None
    """Processes, each with one torch thread. Default: one for each core."""
    ray: Annotated[str | None, tyro.conf.arg(metavar="[ADDRESS]", help_behavior_hint="")] = None
    """Run the students as Ray tasks: at an address, "auto", or without one on this machine."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of everything random. Default: 0."""
    teacher_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--teacher-act")] = "mode"
    """How the teacher acts. Default: mode."""
    vecnormalize: Annotated[Path | None, option("FILE")] = None
    """Statistics of the teacher's observation normaliser."""
    card: Annotated[Path | None, option("FILE")] = None
    """What network the teacher's weights are of."""
    out: Annotated[Path | None, option("DIR")] = None
    """Folder of the sweep. Default: a new one under runs/."""
    force: Annotated[bool, switch()] = False
    """Replace the sweep that is already in the --out folder."""
    resume: Annotated[bool, switch()] = False
    """Go on with the sweep in the --out folder, given the same settings."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object per line; the last is the whole of shrink.json."""
    check: Annotated[bool, switch()] = False
    """Exit with code 3 where no student is shown to hold."""


def run(arguments: list[str]) -> int:
    """Sweep, telling what each student did; returns the exit code."""
    flags = parse(Flags, "shrink", with_ray_address(arguments))
    if flags.resume and (flags.out is None or flags.force):
        raise UsageError(
            "--resume goes on with the sweep in the folder that --out names, without --force"
        )
    workers = workers_of(flags)
    from rldistill.train.prepare_shrink import ShrinkRequest, prepare_sweep

    sweep = prepare_sweep(
        ShrinkRequest(
            teacher=flags.teacher,
            task=flags.environment.task(flags.task),
            out=flags.out,
            resume=flags.resume,
            settings=settings_of(flags, command_line("shrink", arguments)),
        )
    )
    try:
        summary = tell(sweep, workers, flags.json)
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        sys.stderr.write(f"\nstopped; go on with --resume --out {sweep.root}\n")
        return exit_code(stop)
    return EXIT_CHECK if flags.check and summary["winner"] is None else 0


def with_ray_address(arguments: list[str]) -> list[str]:
    """The arguments, where a --ray without an address is one on this machine.

    >>> with_ray_address(["a.zip", "--ray", "--json"]), with_ray_address(["--ray", "auto"])
    (['a.zip', '--ray', 'local', '--json'], ['--ray', 'auto'])
    """
    given: list[str] = []
    for word, after in zip(arguments, [*arguments[1:], "--"], strict=True):
        given.append(word)
        if word == "--ray" and after.startswith("--"):
            given.append(LOCAL)
    return given


def workers_of(flags: Flags) -> "Workers":
    """Where the students of a stage learn.

    Raises:
        UsageError: --workers beside --ray.
    """
    if flags.ray is None:
        from rldistill.rollout.workers import workers_for

        return workers_for(flags.workers)
    if flags.workers is not None:
        raise UsageError("--workers has no effect with --ray, which uses all cores of its nodes")
    from rldistill.rollout.ray import RayTasks

    return RayTasks(None if flags.ray == LOCAL else flags.ray)


def settings_of(flags: Flags, command: str) -> "ShrinkSettings":
    """What these flags ask for; what they leave out keeps its default."""
    from rldistill.core import Acting
    from rldistill.train.shrink_settings import ShrinkSettings

    names = ("floor", "steps", "stages")
    given: dict[str, Any] = {
        name: value for name in names if (value := getattr(flags, name)) is not None
    }
    if flags.prune is not None:
        given["prune"] = shares(flags.prune)
    return ShrinkSettings(
        budget=flags.budget,
        ladder=flags.ladder,
        int8=not flags.no_int8,
        seed=flags.seed,
        teacher_act=Acting.parse(flags.teacher_act),
        vecnormalize=flags.vecnormalize,
        card=flags.card,
        force=flags.force,
        command=command,
        **given,
    )


def shares(words: tuple[str, ...]) -> tuple[float, ...]:
    """The numbers of --prune; the word none stands for no number.

    Raises:
        UsageError: a word is no number.

    >>> shares(("0.5", "0.9")), shares(("none",))
    ((0.5, 0.9), ())
    """
    if words == ("none",):
        return ()
    try:
        return tuple(float(word) for word in words)
    except ValueError as error:
        raise UsageError(
            f"--prune must be numbers, such as 0.5 0.75, or none; got {' '.join(words)}"
        ) from error


def tell(sweep: "Sweep", workers: "Workers", as_json: bool) -> dict[str, Any]:
    """Run the loop, show what it yields, draw the frontier; returns the summary."""
    from rldistill.reports.frontier import save_frontier
    from rldistill.train.shrink import finished, shrinking

    with closing(shrinking(sweep, workers)) as steps:
        for step in steps:
            if as_json:
                print_json(step.record)
            else:
                sys.stdout.write(step.message + "\n")
                sys.stdout.flush()
    summary = finished(sweep).summary
    picture = save_frontier(sweep.root, summary)
    if as_json:
        print_json({**summary, "run": str(sweep.root)})
    else:
        sys.stdout.write("\n".join([*table(summary), f"plot      {picture}"]) + "\n")
        sys.stdout.write(f"sweep     {sweep.root}\n")
    return summary


def table(summary: dict[str, Any]) -> list[str]:
    """The frontier as a table, the smallest last; * marks what none of the others beats."""
    from rldistill.train.shrink_summary import share_text

    head = (
        f"{'':2}{'student':<34}{'weights':>9}{'bytes':>9}{'us':>8}  {'fraction [95 %]':<24}verdict"
    )
    lines = [head]
    for point in sorted(summary["frontier"], key=lambda point: -point["parameters"]):
        latency = "-" if point["latency_us"] is None else f"{point['latency_us']:.1f}"
        mark = "* " if "parameters" in point["best_for"] else "  "
        lines.append(
            f"{mark}{point['name']:<34}{point['parameters']:>9,}{point['bytes']:>9,}"
            f"{latency:>8}  {share_text(point):<24}{point['verdict'] or 'none'}"
        )
    return lines
