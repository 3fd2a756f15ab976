"""rldistill train: a Q-network that can be distilled from."""

import shlex
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rldistill.cli.flags import Environment, EnvironmentFlags, one_of, real_number, whole_number
from rldistill.cli.main import EXIT_ERROR, exit_code
from rldistill.cli.terminal import command_line, interval, number, option, parse, print_json, switch
from rldistill.errors import EnvironmentFailure, NotFiniteError, SettingError

if TYPE_CHECKING:
    from rldistill.train.prepare_training import TrainRequest
    from rldistill.train.train_teacher import Training

LEARNING = ("gamma", "lam", "num_envs", "learning_rate", "epsilon_end")
SWITCHES = ("clip_rewards", "bfloat16")


@dataclass(frozen=True)
class Flags:
    """Train a Q-network on one task, or on several together: a teacher to distil from.

    Example: rldistill train --task MinAtar/Breakout-v1 --steps 5000000 --out runs/breakout
    """

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, option("ID")] = ()
    """Environment id. Given several times: one network learns all of these tasks, one head each."""
    network: Annotated[str | None, option("SPEC")] = None
    """What is trained, for example mlp:128,128,relu,layernorm. Default: one that fits the task."""
    steps: Annotated[int | None, option("N"), whole_number("--steps")] = None
    """Environment steps, summed over tasks and environments. Default: 5,000,000."""
    num_envs: Annotated[int | None, option("N"), whole_number("--num-envs")] = None
    """Environments stepped together, summed over tasks. Default: 128."""
    gamma: Annotated[float | None, option("SHARE"), real_number("--gamma")] = None
    """Discount per environment step. Default: 0.99."""
    lam: Annotated[float | None, option("SHARE"), real_number("--lam")] = None
    """Lambda of the returns. Default: 0.65."""
    learning_rate: Annotated[float | None, option("RATE"), real_number("--learning-rate")] = None
    """At the beginning; it falls linearly to 0. Default: 0.0005."""
    epsilon_end: Annotated[float | None, option("SHARE"), real_number("--epsilon-end")] = None
    """Share of random actions after a tenth of the run. Default: 0.05."""
    clip_rewards: Annotated[bool, switch()] = False
    """Learn from the signs of rewards, as is usual for Atari; scores stay raw."""
    bfloat16: Annotated[bool, switch()] = False
    """Learn in bfloat16 where the machine is faster in it; pixels only gain from it."""
    seed: Annotated[int | None, option("N"), whole_number("--seed")] = None
    """Seed of everything random. Default: 0."""
    device: Annotated[
        str | None, option("auto|cpu|cuda"), one_of("--device", "auto", "cpu", "cuda")
    ] = None
    """Where the network runs. Default: auto, the CPU."""
    episodes: Annotated[int | None, option("N"), whole_number("--episodes")] = None
    """Episodes of each task that are played greedily at the end. Default: 64."""
    half: Annotated[bool, switch()] = False
    """Write the network in half precision, which takes half of the space."""
    out: Annotated[Path | None, option("DIR")] = None
    """Run folder. Default: a new one under runs/."""
    force: Annotated[bool, switch()] = False
    """Replace the run that is already in the --out folder."""
    resume: Annotated[Path | None, option("RUN")] = None
    """Continue the run in this folder with its own settings; --steps alone may be given beside."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object per line; the last has the returns."""


def run(arguments: list[str]) -> int:
    """Train, drawing progress; returns the exit code."""
    flags = parse(Flags, "train", arguments)
    if flags.resume is None and not flags.task:
        raise SettingError("a task is required: --task ID, or --resume RUN")
    request = request_of(flags, command_line("train", arguments))
    from rldistill.train.prepare_training import prepare_training

    job = prepare_training(request)
    try:
        summary = draw(job, flags.json)
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        sys.stderr.write(f"\nstopped; {how_to_resume(job)}\n")
        return exit_code(stop)
    except (EnvironmentFailure, NotFiniteError) as error:
        sys.stderr.write(f"error: {error}\n{how_to_resume(job)}\n")
        return EXIT_ERROR
    if not flags.json:
        sys.stdout.write("\n".join(summary_lines(summary)) + "\n")
    return 0


def request_of(flags: Flags, command: str) -> "TrainRequest":
    """What these flags ask for.

    Raises:
        SettingError, RunFolderError: a flag is wrong, or has no effect beside --resume.
    """
    from rldistill.train.parallel_q import ParallelQ
    from rldistill.train.prepare_training import TrainRequest, resumed_request
    from rldistill.train.train_teacher import TrainSettings

    if flags.resume is not None:
        refuse_beside_resume(flags)
        return resumed_request(flags.resume, flags.steps)
    learning = {name: value for name in LEARNING if (value := getattr(flags, name)) is not None}
    learning |= {name: True for name in SWITCHES if getattr(flags, name)}
    names = ("steps", "seed", "device", "episodes")
    given = {name: value for name in names if (value := getattr(flags, name)) is not None}
    return TrainRequest(
        tasks=[flags.environment.task(task) for task in flags.task],
        network=flags.network,
        out=flags.out,
        force=flags.force,
        settings=TrainSettings(
            learning=ParallelQ(**learning), half=flags.half, command=command, **given
        ),
    )


def refuse_beside_resume(flags: Flags) -> None:
    """A run goes on with its own settings.

    Raises:
        SettingError: another setting than --steps and --json is given.
    """
    ignored = ("resume", "steps", "json")
    plain = Flags()
    given = [
        name
        for name in Flags.__dataclass_fields__
        if name not in ignored and getattr(flags, name) != getattr(plain, name)
    ]
    if given:
        words = ", ".join("--" + name.replace("_", "-") for name in given)
        raise SettingError(f"--resume goes on with the run's own settings: {words} has no effect")


def draw(job: "Training", as_json: bool) -> dict[str, Any]:
    """Run the loop and show what it yields; returns the summary. Whatever ends it, it is saved."""
    from rldistill.cli.display import show
    from rldistill.train.train_teacher import training

    with closing(training(job)) as progress:
        if as_json:
            for record in progress:
                print_json(record.to_json())
        else:
            show(progress)
    assert job.summary is not None, "the loop has ended"
    if as_json:
        print_json(job.summary)
    return job.summary


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The lines at the end: of each task the return, then what it took."""
    lines = [
        f"{task}: return {number(found['return'])} {interval(found['low'], found['high'])} over "
        f"{found['episodes']} episodes"
        for task, found in summary["tasks"].items()
    ]
    lines.append(
        f"cost       {summary['env_steps']:,} environment steps, {summary['train_seconds']:.1f} s "
        f"of training, {summary['total_seconds']:.1f} s in all"
    )
    lines.append(f"run        {summary['run']}")
    return lines


def how_to_resume(job: "Training") -> str:
    """The command that continues a run."""
    return f"continue with: rldistill train --resume {shlex.quote(str(job.keeper.folder.root))}"
