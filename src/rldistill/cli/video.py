"""rldistill video: teacher and student side by side, from the same start."""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from rldistill.cli.flags import (
    Environment,
    EnvironmentFlags,
    acting,
    real_number,
    whole_number,
)
from rldistill.cli.terminal import option, parse, print_json, switch
from rldistill.errors import SettingError

DEFAULT_SECONDS = 20.0


@dataclass(frozen=True)
class Flags:
    """Film teacher and student side by side, from the same start, as an MP4.

    Without a display MuJoCo tasks need EGL (on Debian: apt install libegl1).
    Example: rldistill video runs/mine --against teacher.zip --task LunarLander-v3 --out both.mp4
    """

    student: Annotated[Path, tyro.conf.Positional, option("STUDENT")]
    """A run folder of ours, or a stable-baselines3 zip: shown on the right."""
    against: Annotated[Path, option("TEACHER")]
    """The teacher: a file or a run folder too; shown on the left."""
    task: Annotated[str, option("ID")]
    """Environment id, for example LunarLander-v3. Atari and MinAtar are played as they were in
    training; gymnasium steps the others: envpool cannot draw."""
    out: Annotated[Path, option("FILE.mp4")]
    """The file to write."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of the start, the same for both. Default: 0."""
    seconds: Annotated[float, option("S"), real_number("--seconds")] = DEFAULT_SECONDS
    """Length of the video at most; longer episodes are cut. Default: 20."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """VecNormalize statistics of the teacher. Default: the file beside it, if there is one."""
    card: Annotated[Path | None, option("FILE")] = None
    """Card of a TEACHER that is a file of weights (docs/cards.md). Default: NAME.toml beside it."""
    teacher_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--teacher-act")] = "mode"
    """How the teacher acts: its likeliest action, or a sampled one. Default: mode."""
    student_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--student-act")] = "mode"
    """How the student acts. Default: mode."""
    force: Annotated[bool, switch()] = False
    """Replace the file that is already there."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object on one line."""


def run(arguments: list[str]) -> int:
    """Film; returns the exit code."""
    flags = parse(Flags, "video", arguments)
    check(flags)
    from rldistill.core import Acting
    from rldistill.reports.video import VideoSettings, film

    settings = VideoSettings(
        seed=flags.seed,
        seconds=flags.seconds,
        # As long as the default it is small enough to be sent; longer ones grow in proportion.
        most_bytes=int(3_000_000 * max(1.0, flags.seconds / DEFAULT_SECONDS)),
        student_act=Acting.parse(flags.student_act),
        teacher_act=Acting.parse(flags.teacher_act),
        vecnormalize=flags.vecnormalize,
        card=flags.card,
    )
    task = flags.environment.task(flags.task)
    made = film(flags.student, flags.against, task, flags.out, settings)
    if flags.json:
        print_json({name: value for name, value in asdict(made).items() if name != "moments"})
    else:
        seconds = made.frames / made.frames_per_second
        sys.stdout.write(
            f"{made.sentence()}\n{made.path}: {seconds:.1f} s, {made.num_bytes / 1e6:.2f} MB\n"
        )
    return 0


def check(flags: Flags) -> None:
    """What can be told before anything is loaded.

    Raises:
        SettingError: the file cannot be written, or a flag has no effect.
    """
    if flags.out.suffix.lower() != ".mp4":
        raise SettingError(f"--out must name an MP4 file, such as both.mp4; got {flags.out}")
    if not flags.out.absolute().parent.is_dir():
        raise SettingError(f"--out: there is no folder {flags.out.absolute().parent}")
    if flags.out.is_dir():
        raise SettingError(f"--out: {flags.out} is a folder")
    if flags.out.exists() and not flags.force:
        raise SettingError(f"{flags.out} is there already: name another file, or give --force")
    if flags.environment.backend == "envpool":
        raise SettingError(
            "--backend envpool has no effect: envpool cannot draw, so gymnasium steps the task"
        )
