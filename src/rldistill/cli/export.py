"""rldistill export: a policy leaves Python, with everything inside, checked."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rldistill.cli.flags import (
    Environment,
    EnvironmentFlags,
    one_of,
    real_number,
    whole_number,
)
from rldistill.cli.terminal import number, option, parse, print_json, switch
from rldistill.errors import SettingError

if TYPE_CHECKING:
    from rldistill.recipes.export import Exported

OUTPUTS = ("action", "sample", "distribution")
PRECISIONS = ("fp32", "fp16", "int8", "int8-dynamic")


@dataclass(frozen=True)
class Flags:
    """Write a policy as files that need no Python: normaliser, action scaling and bounds inside.

    Every file is loaded again and compared with the policy on 10,000 observations and on edge
    values before it is written; fp16 and int8 must hold their return in the task too.

    Example: rldistill export runs/mine --to onnx c --out exported
    """

    policy: Annotated[Path, tyro.conf.Positional, option("POLICY")]
    """A run folder of ours, or a stable-baselines3 zip."""
    to: Annotated[tuple[str, ...], option("FORMAT...")]
    """One or several of onnx, c, torchscript, torch-export, json, sb3."""
    out: Annotated[Path, option("DIR")]
    """Folder of the files and their contracts."""
    precision: Annotated[
        str, option("fp32|fp16|int8|int8-dynamic"), one_of("--precision", *PRECISIONS)
    ] = "fp32"
    """How numbers are held; c has fp32 and int8, onnx all, the others fp32. Default: fp32."""
    output: Annotated[str, option("action|sample|distribution"), one_of("--output", *OUTPUTS)] = (
        "action"
    )
    """The likeliest action, one drawn with noise that the caller gives, or the distribution beside
    the likeliest action. Default: action."""
    name: Annotated[str, option("NAME")] = "policy"
    """Of the files, and in front of every identifier in C. Default: policy."""
    task: Annotated[str | None, option("ID")] = None
    """Where observations are recorded, and the verdict of fp16 and int8 is played.
    Default: the task of the run, where POLICY is one."""
    against: Annotated[Path | None, option("TEACHER")] = None
    """For fp16 and int8: whose return must be held. Default: POLICY's own, in fp32."""
    floor: Annotated[float | None, option("FRACTION"), real_number("--floor")] = None
    """The share of it. Default: 0.95."""
    observations: Annotated[int, option("N"), whole_number("--observations")] = 10_000
    """How many are compared. Default: 10000."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of everything random. Default: 0."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """POLICY's VecNormalize statistics. Default: the file beside it, if there is one."""
    force: Annotated[bool, switch()] = False
    """Replace files of an earlier export of this name."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    json: Annotated[bool, switch()] = False
    """One JSON object on one line: the contracts."""


def run(arguments: list[str]) -> int:
    """Export; returns the exit code."""
    flags = parse(Flags, "export", arguments)
    if flags.task is None and flags.environment != EnvironmentFlags():
        raise SettingError(
            "--backend, --env-kwargs, --wrapper, --import and --student-view have no effect "
            "without --task ID"
        )
    flags.environment.refuse_views(
        "teacher_view",
        why="has no effect: what is exported sees --student-view, whoever it is",
    )
    from rldistill.evaluation.verdict import DEFAULT_FLOOR
    from rldistill.recipes.export import ExportSettings, export_policy

    settings = ExportSettings(
        precision=flags.precision,
        output=flags.output,
        name=flags.name,
        against=flags.against,
        floor=DEFAULT_FLOOR if flags.floor is None else flags.floor,
        observations=flags.observations,
        seed=flags.seed,
        vecnormalize=flags.vecnormalize,
        force=flags.force,
    )
    task = None if flags.task is None else flags.environment.task(flags.task)
    exported = export_policy(flags.policy, flags.out, flags.to, task=task, settings=settings)
    if flags.json:
        print_json({"exported": [{"path": one.path, **one.contract} for one in exported]})
    else:
        for one in exported:
            sys.stdout.write("\n".join(lines(one)) + "\n")
    return 0


def lines(exported: "Exported") -> list[str]:
    """What is said of one file."""
    contract = exported.contract
    said = [f"{exported.path}  {contract['file']['bytes']:,} bytes, {contract['precision']}"]
    said.append(f"  parity   {parity_line(contract['parity'])}")
    if verdict := contract["export_verdict"]:
        fraction = number(verdict["fraction"])
        said.append(f"  verdict  {verdict['verdict']}, fraction {fraction}: {verdict['reason']}")
    if footprint := contract["details"].get("footprint"):
        said.append(
            f"  memory   {footprint['flash']:,} bytes of flash, {footprint['ram']:,} of RAM "
            f"({footprint['compiler']})"
        )
    return said


def parity_line(parity: dict[str, Any]) -> str:
    """What the comparison showed, in one line."""
    words = [f"{parity['observations']:,} observations ({parity['source']})"]
    words.append(f"{parity['edge_values']} edge values")
    if parity["same_actions"] is not None:
        words.append(f"{100 * parity['same_actions']:.4g} % same actions")
        words.append(f"{parity['ties']} ties ({parity['different_at_ties']} chosen differently)")
    if parity["same_actions"] is None or parity["largest_error"] > 0:
        words.append(f"largest error {number(parity['largest_error'], 2)}")
    return ", ".join(words)
