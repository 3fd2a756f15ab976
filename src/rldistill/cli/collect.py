"""rldistill collect: write a teacher's decisions to a folder, for learning offline."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from rldistill.cli.flags import (
    Environment,
    EnvironmentFlags,
    acting,
    head_name,
    real_number,
    whole_number,
)
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
    steps: Annotated[int, option("N"), whole_number("--steps")]
    """Environment steps, summed over environments."""
    out: Annotated[Path, option("DIR")]
    """Folder to write; must be new or empty."""
    force: Annotated[bool, switch()] = False
    """Replace the dataset that is already in the --out folder."""
    epsilon: Annotated[float, option("SHARE"), real_number("--epsilon")] = 0.0
    """Share of steps with a uniformly random action, for more varied states. Default: 0."""
    minari: Annotated[str | None, option("NAME")] = None
    """Also register it as a Minari dataset, for example lander/expert-v0."""
    num_envs: Annotated[int | None, option("N"), whole_number("--num-envs")] = None
    """Environments stepped together. Default: 64 where C++ (envpool) steps them, else 16."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of everything random. Default: 0."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """The teacher's VecNormalize statistics. Default: the file beside it, if there is one."""
    card: Annotated[Path | None, option("FILE")] = None
    """Card of a TEACHER that is a file of weights (docs/cards.md). Default: NAME.toml beside it."""
    head: Annotated[str | None, option("NAME"), head_name("--head")] = None
    """What the outputs of an ONNX file, a script or py: mean: categorical, q-values, gaussian,
    squashed-gaussian or deterministic. Default: what the task's actions suggest."""
    trust: Annotated[bool, switch()] = False
    """Run code that lies in a TorchScript or torch.export file. Only for files you trust."""
    teacher_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--teacher-act")] = "mode"
    """How the teacher acts: its likeliest action, or a sampled one; mode:0.05: 5 % random ones.
    Default: mode."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object on one line."""


def run(arguments: list[str]) -> int:
    """Collect; returns the exit code."""
    flags = parse(Flags, "collect", arguments)
    from rldistill.core import Acting
    from rldistill.train.gather import GatherSettings, gather

    settings = GatherSettings(
        steps=flags.steps,
        epsilon=flags.epsilon,
        num_envs=flags.num_envs,
        seed=flags.seed,
        teacher_act=Acting.parse(flags.teacher_act),
        vecnormalize=flags.vecnormalize,
        card=flags.card,
        head=flags.head,
        trust=flags.trust,
        force=flags.force,
        minari=flags.minari,
        command=command_line("collect", arguments),
    )
    task = flags.environment.task(flags.task)
    try:
        record = gather(flags.teacher, task, flags.out, settings)
    except KeyboardInterrupt:
        if flags.out.exists():
            sys.stderr.write(f"\nstopped; the whole shards in {flags.out} are kept\n")
        raise
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
