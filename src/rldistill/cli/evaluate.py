"""rldistill evaluate: measure a policy, alone or against its teacher."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

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
    """The teacher that POLICY should hold up to."""
    episodes: Annotated[int, option("N")] = 256
    """Of each policy, rounded up to complete rounds. Default: 256."""
    floor: Annotated[float, option("FRACTION")] = 0.95
    """What the verdict is about. Default: 0.95 of the teacher's return."""
    num_envs: Annotated[int | None, option("N")] = None
    """Episodes per round. Default: 64, or fewer where fewer episodes are asked for."""
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
    """VecNormalize statistics of the teacher (of POLICY, where it is measured alone)."""
    teacher_act: Annotated[Literal["mode", "sample"], option("mode|sample")] = "mode"
    """How the teacher acts. Default: mode."""
    student_act: Annotated[Literal["mode", "sample"], option("mode|sample")] = "mode"
    """How POLICY acts. Default: mode."""
    json: Annotated[bool, switch()] = False
    """One JSON object on one line."""
    check: Annotated[bool, switch()] = False
    """Exit with 3 when the verdict is not `holds`."""


def run(arguments: list[str]) -> int:
    """Measure and print; returns the exit code."""
    flags = parse(Flags, "evaluate", arguments)
    if flags.check and flags.against is None:
        raise SettingError("--check needs a verdict, and that needs --against TEACHER")
    record = measure(flags)
    if flags.json:
        print_json(record)
    else:
        show(record)
    return EXIT_CHECK if flags.check and record["verdict"] != "holds" else 0


def measure(flags: Flags) -> dict[str, Any]:
    """Call evaluate() with these flags."""
    from rldistill.core import Acting
    from rldistill.envs.spec import TaskSpec
    from rldistill.evaluation.evaluate import EvaluationSettings, evaluate
    from rldistill.recipes.models import parse_env_kwargs

    task = TaskSpec(
        id=flags.task,
        backend=flags.backend,
        env_kwargs=parse_env_kwargs(flags.env_kwargs or ""),
        wrapper=flags.wrapper,
        imports=flags.imports,
    )
    settings = EvaluationSettings(
        episodes=flags.episodes,
        num_envs=flags.num_envs,
        floor=flags.floor,
        seed=flags.seed,
        student_act=Acting.parse(flags.student_act),
        teacher_act=Acting.parse(flags.teacher_act),
        vecnormalize=flags.vecnormalize,
    )
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
