"""rldistill follow: distil a teacher while it is still learning."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rldistill.cli.distill import draw
from rldistill.cli.flags import (
    Environment,
    EnvironmentFlags,
    acting,
    real_number,
    whole_number,
)
from rldistill.cli.main import EXIT_ERROR, exit_code
from rldistill.cli.terminal import command_line, number, option, parse, print_json, switch
from rldistill.errors import EnvironmentFailure, NotFiniteError, UsageError
from rldistill.runs import default_run_path

if TYPE_CHECKING:
    from rldistill.envs.spec import TaskSpec
    from rldistill.train.job import Job
    from rldistill.train.moving import MovingTeacher
    from rldistill.train.settings import Settings


@dataclass(frozen=True)
class Flags:
    """Distil a teacher that is still learning, from the folder where its checkpoints appear.

    The teacher is the version with the best score so far, until another one beats it. A run that is
    stopped keeps its student and cannot be resumed.
    Example: rldistill follow checkpoints/ --task LunarLander-v3 --student mlp:16,16 --steps 500000
    """

    folder: Annotated[Path | None, tyro.conf.Positional, option("FOLDER")] = None
    """Where checkpoints appear: zips of stable-baselines3, or run folders of ours. It may also be
    the run folder of `rldistill train`, while that is running."""
    task: Annotated[str, option("ID")] = tyro.MISSING
    """Environment id, for example LunarLander-v3."""
    steps: Annotated[int, option("N"), whole_number("--steps")] = tyro.MISSING
    """Environment steps of the student, summed over environments, after which it ends."""
    train_steps: Annotated[int | None, option("N"), whole_number("--train-steps")] = None
    """In place of FOLDER: train the teacher here, for this many steps, as `rldistill train` does.
    Its run folder lies beside the student's, under the same name with -teacher behind it."""
    versions: Annotated[int | None, option("N"), whole_number("--versions")] = None
    """With --train-steps: how many versions of the teacher there are. Default: 20."""
    student: Annotated[str | None, option("SPEC")] = None
    """Network, for example mlp:32,32. Default: an MLP of a tenth of the first version."""
    method: Annotated[str | None, option("ROW")] = None
    """Row of the method table; it must learn state by state. Default: the default row."""
    latest: Annotated[bool, switch()] = False
    """Follow the latest version, whatever its score."""
    episodes: Annotated[int, option("N"), whole_number("--episodes")] = 32
    """Episodes by which each version, and the student at that time, is scored. Default: 32."""
    wait: Annotated[float, option("SECONDS"), real_number("--wait")] = 600.0
    """How long to wait for the first version. Default: 600."""
    num_envs: Annotated[int | None, option("N"), whole_number("--num-envs")] = None
    """Environments stepped together. Default: 64 where C++ (envpool) steps them, else 16."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of everything random. Default: 0."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """The teacher's VecNormalize statistics. Default: the file beside a checkpoint, if any."""
    teacher_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--teacher-act")] = "mode"
    """How the teacher acts; mode:0.05 takes that share of random actions. Default: mode."""
    student_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--student-act")] = "mode"
    """How the student acts when it is scored and judged. Default: mode."""
    plot: Annotated[Path | None, option("FILE")] = None
    """Draw both scores over time into this file, for example following.svg."""
    out: Annotated[Path | None, option("DIR")] = None
    """Run folder. Default: a new one under runs/."""
    force: Annotated[bool, switch()] = False
    """Replace the run that is already in the --out folder."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object per line; the last has the verdict on the version followed last."""


def run(arguments: list[str]) -> int:
    """Follow, drawing progress; returns the exit code."""
    flags = parse(Flags, "follow", arguments)
    if (flags.folder is None) == (flags.train_steps is None):
        raise UsageError("give either the FOLDER of a teacher's checkpoints, or --train-steps N")
    if flags.versions is not None and flags.train_steps is None:
        raise UsageError("--versions has no effect without --train-steps")
    from rldistill.train.follow import FollowSettings, prepare_following
    from rldistill.train.request import Request

    settings = settings_of(flags, command_line("follow", arguments))
    task = flags.environment.task(flags.task)
    following = FollowSettings(best=not flags.latest, episodes=flags.episodes, wait=flags.wait)
    out = flags.out or default_run_path(flags.task, flags.student or "student")
    moving = teacher_of(flags, task, settings, out)
    request = Request(
        teacher=None,
        task=task,
        student=flags.student,
        out=out,
        resume=False,
        settings=settings,
    )
    job = prepare_following(moving, request, following)
    try:
        draw(job, flags.json)
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        sys.stderr.write(f"\nstopped; the student so far is in {job.keeper.folder.root}\n")
        return exit_code(stop)
    except (EnvironmentFailure, NotFiniteError) as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_ERROR
    conclude(job, flags)
    return 0


def teacher_of(flags: Flags, task: "TaskSpec", settings: "Settings", out: Path) -> "MovingTeacher":
    """Where versions of the teacher come from."""
    from rldistill.train.follow import checkpoint_folder

    if flags.folder is not None:
        return checkpoint_folder(flags.folder, task, settings)
    from rldistill.train.beside import beside
    from rldistill.train.prepare_training import TrainRequest, prepare_training
    from rldistill.train.train_teacher import TrainSettings

    assert flags.train_steps is not None
    training = TrainSettings(steps=flags.train_steps, seed=flags.seed, command=settings.command)
    folder = out.with_name(out.name + "-teacher")
    seen = task.seen_by_teacher()
    request = TrainRequest(tasks=[seen], out=folder, force=flags.force, settings=training)
    return beside(prepare_training(request), settings, flags.versions or 20)


def settings_of(flags: Flags, command: str) -> "Settings":
    """The settings of the loop."""
    from rldistill.core import Acting
    from rldistill.methods.catalogue import DEFAULT
    from rldistill.train.settings import Settings

    return Settings(
        method=flags.method or DEFAULT,
        steps=flags.steps,
        num_envs=flags.num_envs,
        seed=flags.seed,
        vecnormalize=flags.vecnormalize,
        teacher_act=Acting.parse(flags.teacher_act),
        student_act=Acting.parse(flags.student_act),
        force=flags.force,
        command=command,
    )


def conclude(job: "Job", flags: Flags) -> None:
    """Say how steady student and teacher were, and draw it where that is asked for."""
    from rldistill.evaluation.stability import stability

    looks = job.keeper.folder.read_following()
    found = stability(looks)
    if flags.json:
        print_json(
            {}
            if found is None
            else {
                "teacher_variance": found.teacher,
                "student_variance": found.student,
                "looks": found.looks,
            }
        )
    elif found is None:
        sys.stdout.write("stability  too few versions came to tell\n")
    else:
        sys.stdout.write(
            f"stability  variance of return over the last {found.looks} versions: teacher "
            f"{number(found.teacher)}, student {number(found.student)}\n"
        )
    if flags.plot is not None:
        from rldistill.reports.following import following_figure

        following_figure(looks, flags.task).savefig(flags.plot)
