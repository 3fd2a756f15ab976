"""rldistill evaluate: measure a policy, alone or against its teacher."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from rldistill.cli.flags import (
    Environment,
    EnvironmentFlags,
    acting,
    head_name,
    real_number,
    whole_number,
)
from rldistill.cli.main import EXIT_CHECK
from rldistill.cli.terminal import option, parse, print_json, switch
from rldistill.errors import SettingError


@dataclass(frozen=True)
class Flags:
    """Measure a policy: returns with intervals, size, latency; against a teacher, the verdict too.

    Example: rldistill evaluate runs/mine --task LunarLander-v3 --against teacher.zip
    """

    policy: Annotated[Path, tyro.conf.Positional, option("POLICY")]
    """A run folder of ours, or a stable-baselines3 zip."""
    task: Annotated[str, option("ID")]
    """Environment id, for example LunarLander-v3."""
    against: Annotated[Path | None, option("TEACHER")] = None
    """The teacher that POLICY is compared with: a file or a run folder too."""
    episodes: Annotated[int, option("N"), whole_number("--episodes")] = 256
    """Episodes of each policy, rounded up to a multiple of --num-envs. Default: 256."""
    floor: Annotated[float | None, option("FRACTION"), real_number("--floor")] = None
    """Share of the teacher's return that the verdict is about. Default: 0.95."""
    num_envs: Annotated[int | None, option("N"), whole_number("--num-envs")] = None
    """Environments stepped together, one episode of each per round.
    Default: 64, or --episodes where that is less."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of everything random. Default: 0."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """VecNormalize statistics of the teacher (of POLICY, where it is measured alone).
    Default: the file beside it, if there is one."""
    card: Annotated[Path | None, option("FILE")] = None
    """Card of weights (docs/cards.md), for the same policy. Default: NAME.toml beside them."""
    head: Annotated[str | None, option("NAME"), head_name("--head")] = None
    """What the outputs of an ONNX file, a script or py: mean: categorical, q-values, gaussian,
    squashed-gaussian or deterministic. Default: what the task's actions suggest."""
    trust: Annotated[bool, switch()] = False
    """Run code that lies in a TorchScript or torch.export file. Only for files you trust."""
    teacher_act: Annotated[str | None, option("mode|sample[:EPSILON]"), acting("--teacher-act")] = (
        None
    )
    """How the teacher acts: its likeliest action, or a sampled one; mode:0.05: 5 % random ones.
    Default: mode."""
    student_act: Annotated[str, option("mode|sample[:EPSILON]"), acting("--student-act")] = "mode"
    """How POLICY acts. Default: mode."""
    starts: Annotated[Path | None, option("FILE")] = None
    """Start states of `rldistill starts record`: one episode from each, instead of --episodes."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object on one line."""
    check: Annotated[bool, switch()] = False
    """Exit with code 3 when the verdict is not `holds`."""


def run(arguments: list[str]) -> int:
    """Measure and print; returns the exit code."""
    flags = parse(Flags, "evaluate", arguments)
    if flags.against is None:
        refuse_without_teacher(flags)
    record = measure(flags)
    if flags.json:
        print_json(record)
    else:
        show(record)
    return EXIT_CHECK if flags.check and record["verdict"] != "holds" else 0


def refuse_without_teacher(flags: Flags) -> None:
    """Flags that are about a comparison have no effect where there is none.

    Raises:
        SettingError: one of them was given.
    """
    about = {
        "--check": flags.check,
        "--floor": flags.floor is not None,
        "--teacher-act": flags.teacher_act is not None,
        "--teacher-view": flags.environment.teacher_view is not None,
    }
    for flag, given in about.items():
        if given:
            raise SettingError(
                f"{flag} is about the verdict or the teacher, and without a teacher it has no "
                "effect: it needs --against TEACHER"
            )


def measure(flags: Flags) -> dict[str, Any]:
    """Call evaluate() with these flags."""
    from rldistill.core import Acting
    from rldistill.evaluation.evaluate import EvaluationSettings, evaluate
    from rldistill.evaluation.verdict import DEFAULT_FLOOR

    settings = EvaluationSettings(
        episodes=flags.episodes,
        num_envs=flags.num_envs,
        floor=DEFAULT_FLOOR if flags.floor is None else flags.floor,
        seed=flags.seed,
        student_act=Acting.parse(flags.student_act),
        teacher_act=Acting.parse(flags.teacher_act or "mode"),
        vecnormalize=flags.vecnormalize,
        card=flags.card,
        head=flags.head,
        trust=flags.trust,
        starts=flags.starts,
    )
    task = flags.environment.task(flags.task)
    return evaluate(flags.policy, task, against=flags.against, settings=settings)


def show(record: dict[str, Any]) -> None:
    """For people."""
    from rldistill.cli.display import show_summary

    each = "" if record["teacher_return"] is None else " of each policy"
    lines = (
        f"{record['task']} on {record['backend']}, {record['episodes']} episodes{each}, "
        f"{record['mean_length']:.0f} steps per episode of POLICY",
        *(f"note       {note}" for note in (*record["notes"], *unseen(record))),
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    show_summary(record)
    if record["human_normalised"] is not None:
        share = 100 * record["human_normalised"]
        sys.stdout.write(f"human      {share:.1f} % of a human, {record['human_source']}\n")


def unseen(record: dict[str, Any]) -> list[str]:
    """What equal returns leave open: an interval without width is no certainty."""
    from rldistill.maths.stats import unseen_share

    share = 100 * unseen_share(record["episodes"])
    return [
        f"all returns of the {who} are equal, so its interval has no width; at 95 %, fewer than "
        f"{share:.2g} % of its episodes return anything else"
        for who in ("student", "teacher", "random")
        if record[f"{who}_std"] == 0.0 and record["episodes"] > 1
    ]
