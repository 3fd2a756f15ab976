"""rldistill merge: teachers of several tasks into one student."""

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
from rldistill.cli.main import EXIT_CHECK, EXIT_ERROR, exit_code
from rldistill.cli.terminal import command_line, interval, number, option, parse, print_json, switch
from rldistill.errors import EnvironmentFailure, NotFiniteError, UsageError

if TYPE_CHECKING:
    from rldistill.train.merge import Merging
    from rldistill.train.merge_settings import MergeSettings


@dataclass(frozen=True)
class Flags:
    """Distil teachers of several tasks into one student with a head for each task.

    Example: rldistill merge a@MinAtar/Asterix-v1 b@MinAtar/Breakout-v1 --student multi:minatar
    """

    pairs: Annotated[tuple[str, ...], tyro.conf.Positional, option("TEACHER@TASK")]
    """Each teacher with its task: a file or run folder, @, an environment id."""
    student: Annotated[str, option("SPEC")]
    """Multi-task network: multi: and a trunk, for example multi:nature:100%,fc128."""
    method: Annotated[str | None, option("ROW")] = None
    """Row of the method table that learns state by state, such as rusu-nll or dagger.
    Default: rusu-kl."""
    steps: Annotated[int | None, option("N"), whole_number("--steps")] = None
    """Environment steps, summed over tasks. Default: 1,000,000."""
    scale: Annotated[float | None, option("SHARE"), real_number("--scale")] = None
    """In place of --steps: this share of the steps of the row's paper, where it names them."""
    memory: Annotated[int | None, option("N"), whole_number("--memory")] = None
    """States of each task that are kept. Default: as the row says."""
    num_envs: Annotated[int | None, option("N"), whole_number("--num-envs")] = None
    """Environments of each task that are stepped together. Default: 32."""
    until: Annotated[float | None, option("FRACTION"), real_number("--until")] = None
    """The fraction of each teacher that the verdicts are about. Default: 0.95."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of everything random. Default: 0."""
    device: Annotated[str, option("auto|cpu|cuda"), one_of("--device", "auto", "cpu", "cuda")] = (
        "auto"
    )
    """Where networks run. Default: auto, the CPU."""
    teacher_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--teacher-act")] = "mode"
    """How teachers act; mode:0.05 takes that share of random actions. Default: mode."""
    student_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--student-act")] = "mode"
    """How the student acts when it is judged. Default: mode."""
    out: Annotated[Path | None, option("DIR")] = None
    """Run folder. Default: a new one under runs/."""
    force: Annotated[bool, switch()] = False
    """Replace the run that is already in the --out folder."""
    resume: Annotated[bool, switch()] = False
    """Continue the run in the --out folder, given the same teachers, tasks and student."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object per line; the last has the verdicts."""
    check: Annotated[bool, switch()] = False
    """Exit with code 3 unless the student holds on every task."""


def run(arguments: list[str]) -> int:
    """Merge, drawing progress; returns the exit code."""
    flags = parse(Flags, "merge", arguments)
    pairs = [split(text) for text in flags.pairs]
    if flags.resume and (flags.out is None or flags.force):
        raise UsageError(
            "--resume continues the run in the folder that --out names, without --force"
        )
    flags.environment.refuse_views(
        "teacher_view",
        "student_view",
        why="does not work with several tasks yet: their teachers and the student see what each "
        "task gives",
    )
    from rldistill.train.merge_settings import MergeRequest
    from rldistill.train.prepare_merge import prepare_merge

    job = prepare_merge(
        MergeRequest(
            pairs=[(teacher, flags.environment.task(task)) for teacher, task in pairs],
            student=flags.student,
            out=flags.out,
            force=flags.force,
            resume=flags.resume,
            settings=settings_of(flags, command_line("merge", arguments)),
        )
    )
    try:
        summary = draw(job, flags.json)
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        sys.stderr.write(f"\nstopped; continue with --resume --out {job.keeper.folder.root}\n")
        return exit_code(stop)
    except (EnvironmentFailure, NotFiniteError) as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_ERROR
    return EXIT_CHECK if flags.check and summary["verdict"] != "holds" else 0


def split(text: str) -> tuple[str, str]:
    """Teacher and task of TEACHER@TASK.

    Raises:
        UsageError: it is not that.

    >>> split("runs/a@b@MinAtar/Asterix-v1")
    ('runs/a@b', 'MinAtar/Asterix-v1')
    """
    teacher, at, task = text.rpartition("@")
    if not (at and teacher and task):
        raise UsageError(
            f"give each teacher with its task, TEACHER@TASK, such as runs/a@MinAtar/Asterix-v1; "
            f"got {text!r}"
        )
    return teacher, task


def settings_of(flags: Flags, command: str) -> "MergeSettings":
    """What these flags ask for; what they leave out keeps its default."""
    from rldistill.core import Acting
    from rldistill.train.merge_settings import MergeSettings

    names = ("method", "steps", "scale", "memory", "num_envs")
    given: dict[str, Any] = {
        name: value for name in names if (value := getattr(flags, name)) is not None
    }
    if flags.until is not None:
        given["floor"] = flags.until
    return MergeSettings(
        seed=flags.seed,
        device=flags.device,
        teacher_act=Acting.parse(flags.teacher_act),
        student_act=Acting.parse(flags.student_act),
        command=command,
        **given,
    )


def draw(job: "Merging", as_json: bool) -> dict[str, Any]:
    """Run the loop and show what it yields; returns the summary. Whatever ends it, it is saved."""
    from rldistill.cli.display import show
    from rldistill.train.merge import merging

    with closing(merging(job)) as progress:
        if as_json:
            for record in progress:
                print_json(record.to_json())
        else:
            show(progress)
    assert job.summary is not None, "the loop has ended"
    if as_json:
        print_json(job.summary)
    else:
        sys.stdout.write("\n".join(summary_lines(job.summary)) + "\n")
    return job.summary


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """A line per task, then what they make together."""
    lines = [
        f"{task}: {found['verdict'] or 'no verdict'}, student {number(found['student_return'])}, "
        f"teacher {number(found['teacher_return'])}, random {number(found['random_return'])}, "
        f"fraction {number(found['fraction'], 3)} "
        f"{interval(found['fraction_low'], found['fraction_high'])}"
        for task, found in summary["tasks"].items()
    ]
    return [
        *lines,
        f"together   geometric mean {number(summary['geometric_mean'])} of "
        f"{summary['geometric_mean_of']}; verdict {summary['verdict'] or 'none'}",
        f"cost       {summary['env_steps']:,} environment steps, {summary['train_seconds']:.1f} s "
        f"of training, {summary['total_seconds']:.1f} s in all",
        f"run        {summary['run']}",
    ]
