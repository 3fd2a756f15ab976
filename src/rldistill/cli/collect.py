"""rldistill collect: write a teacher's decisions to a folder, for learning offline."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rldistill.cli.terminal import command_line, option, parse, print_json, switch


@dataclass(frozen=True)
class Flags:
    """Write observations, actions, rewards and the teacher's outputs to a folder of shards.

    Example: rldistill collect teacher.zip --task LunarLander-v3 --steps 100000 --out data/lander
    """

    teacher: Annotated[Path, tyro.conf.Positional, option("TEACHER")]
    """Policy that acts and labels: a stable-baselines3 zip, or a run folder of ours."""
    task: Annotated[str, option("ID")]
    """Environment id, for example LunarLander-v3."""
    steps: Annotated[int, option("N")]
    """Environment steps, summed over environments."""
    out: Annotated[Path, option("DIR")]
    """Folder to write; must be new or empty."""
    force: Annotated[bool, switch()] = False
    """Replace a dataset that is already there."""
    epsilon: Annotated[float, option("SHARE")] = 0.0
    """Share of uniform actions. Default: 0."""
    minari: Annotated[str | None, option("NAME")] = None
    """Also register it as a Minari dataset, for example lander/expert-v0."""
    num_envs: Annotated[int | None, option("N")] = None
    """Environments stepped together. Default: 64 where C++ steps them, else 16."""
    seed: Annotated[int, option("N")] = 0
    """Of everything. Default: 0."""
    backend: Annotated[
        Literal["auto", "envpool", "gymnasium"], option("auto|envpool|gymnasium")
    ] = "auto"
    """Who steps the environments. Default: the fastest that is shown to be the same task."""
    env_kwargs: Annotated[str | None, option("K=V,...")] = None
    """For the environment: gravity=-9.5,enable_wind=true or a JSON object."""
    wrapper: Annotated[str | None, option("MODULE:FN")] = None
    """module:function, applied to each gymnasium environment."""
    imports: Annotated[tuple[str, ...], option("MODULE...", "import")] = ()
    """Modules imported first because they register environments."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """The teacher's VecNormalize statistics. Default: the file beside it, if there is one."""
    teacher_act: Annotated[Literal["mode", "sample"], option("mode|sample")] = "mode"
    """How the teacher acts. Default: mode."""
    json: Annotated[bool, switch()] = False
    """One JSON object on one line."""


def run(arguments: list[str]) -> int:
    """Collect; returns the exit code."""
    flags = parse(Flags, "collect", arguments)
    from rldistill.core import Acting
    from rldistill.envs.spec import TaskSpec
    from rldistill.recipes.models import parse_env_kwargs
    from rldistill.train.gather import GatherSettings, gather

    task = TaskSpec(
        id=flags.task,
        backend=flags.backend,
        env_kwargs=parse_env_kwargs(flags.env_kwargs or ""),
        wrapper=flags.wrapper,
        imports=flags.imports,
    )
    settings = GatherSettings(
        steps=flags.steps,
        epsilon=flags.epsilon,
        num_envs=flags.num_envs,
        seed=flags.seed,
        teacher_act=Acting.parse(flags.teacher_act),
        vecnormalize=flags.vecnormalize,
        force=flags.force,
        minari=flags.minari,
        command=command_line("collect", arguments),
    )
    record = gather(flags.teacher, task, flags.out, settings)
    if flags.json:
        print_json(record)
    else:
        sys.stdout.write(
            f"{record['rows']:,} rows, {record['episodes']:,} whole episodes, mean return "
            f"{record['mean_return']:.4g}, {record['bytes'] / 2**20:.1f} MiB in {record['out']}\n"
            if record["episodes"]
            else f"{record['rows']:,} rows, no whole episode, in {record['out']}\n"
        )
        if flags.minari:
            sys.stdout.write(f"registered as Minari dataset {flags.minari}\n")
    return 0
