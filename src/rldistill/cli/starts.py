"""rldistill starts record: states out of a policy's play, for evaluations to start from."""

import sys
from dataclasses import dataclass, field
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
from rldistill.errors import UsageError


@dataclass(frozen=True)
class Flags:
    """Record start states: whole episodes are played, and states of their first part are kept.

    Example: rldistill starts record teacher.zip --task LunarLander-v3 --out starts.json
    """

    action: Annotated[str, tyro.conf.Positional, option("record")]
    """What to do: record."""
    policy: Annotated[Path, tyro.conf.Positional, option("POLICY")]
    """Who plays: a policy file or a run folder; or a folder that `rldistill collect` wrote."""
    out: Annotated[Path, option("FILE")]
    """The file to write (JSON: seeds, and the actions up to each state)."""
    task: Annotated[str | None, option("ID")] = None
    """Environment id. Needed for a policy; a dataset names its own."""
    count: Annotated[int, option("N"), whole_number("--count")] = 100
    """How many states. Default: 100."""
    episodes: Annotated[int, option("N"), whole_number("--episodes")] = 32
    """Episodes to take them from. Default: 32."""
    share: Annotated[float, option("SHARE"), real_number("--share")] = 0.2
    """First part of an episode that they are from. Default: 0.2."""
    act: Annotated[str | None, option("mode|sample[:EPSILON]"), acting("--act")] = None
    """How POLICY acts. Default: mode:0.05 for action indices, else mode."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of everything random. Default: 0."""
    force: Annotated[bool, switch()] = False
    """Replace the --out file."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object on one line."""


def run(arguments: list[str]) -> int:
    """Record; returns the exit code."""
    flags = parse(Flags, "starts", arguments)
    if flags.action != "record":
        raise UsageError(f"starts: the action must be record; got {flags.action!r}")
    if flags.out.exists() and not flags.force:
        raise UsageError(f"{flags.out} exists; name another --out, or --force to replace it")
    from rldistill.core import Acting
    from rldistill.evaluation.expert_starts import (
        StartSettings,
        record_starts,
        starts_from_dataset,
    )

    settings = StartSettings(
        count=flags.count,
        episodes=flags.episodes,
        share=flags.share,
        seed=flags.seed,
        act=None if flags.act is None else Acting.parse(flags.act),
    )
    if (flags.policy / "dataset.json").is_file():
        if flags.task is not None or flags.act is not None:
            raise UsageError("--task and --act have no effect on a dataset: it was played already")
        starts = starts_from_dataset(flags.policy, settings)
    elif flags.task is None:
        raise UsageError("starts record needs --task ID, for example --task LunarLander-v3")
    else:
        flags.environment.refuse_views(
            "teacher_view", why="has no effect: POLICY, whoever it is, sees --student-view"
        )
        starts = record_starts(flags.policy, flags.environment.task(flags.task), settings)
    starts.save(flags.out)
    longest = max(len(state.actions) for state in starts.states)
    record = {
        "out": str(flags.out),
        "task": starts.task_id,
        "source": starts.source,
        "starts": len(starts.states),
        "longest": longest,
    }
    if flags.json:
        print_json(record)
    else:
        sys.stdout.write(
            f"{len(starts.states)} start states of {starts.task_id} in {flags.out}, at most "
            f"{longest:,} steps from the start of an episode ({starts.source})\n"
        )
    return 0
