"""What the folder of an rsl_rl run tells besides the checkpoint: params/agent.yaml, as text.

The file is written with tags of Python, which an unsafe YAML loader would run: its few lines of
interest are matched, never loaded.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from torch import nn

from rldistill.errors import TeacherFileError
from rldistill.teachers.archive import read_file, safe_text

MOST_BYTES = 1 << 20
# rsl_rl's names (resolve_nn_activation) of those activations that are read.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "selu": nn.SELU,
    "relu": nn.ReLU,
    "lrelu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "swish": nn.SiLU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "identity": nn.Identity,
}
_ACTIVATION = re.compile(r"^\s*activation:\s*['\"]?(\w{1,20})", re.MULTILINE)
_GAMMA = re.compile(r"^\s*gamma:\s*(0?\.\d{1,12}|1\.0|0)\s*$", re.MULTILINE)
_GROUPS = re.compile(r"^obs_groups:[ \t]*\n((?:[ \t-]+.*\n?)*)", re.MULTILINE)
_GROUP = re.compile(r"^\s*(\w{1,40}):", re.MULTILINE)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What is known of the run.

    Attributes:
        activation: of all networks.
        names_activation: whether the file named it.
        gamma: the discount, None if unknown.
        separate_critic: whether the critic is said to see other groups than the actor.
        notes: one line on the groups of observations.
        digest: sha256 of the file, "" if there is none.
    """

    activation: type[nn.Module] = nn.ELU
    names_activation: bool = False
    gamma: float | None = None
    separate_critic: bool = False
    notes: tuple[str, ...] = field(default=())
    digest: str = ""


def read_run_settings(checkpoint: Path) -> RunSettings:
    """From params/agent.yaml or agent.yaml beside a checkpoint; defaults where there is none.

    Raises:
        TeacherFileError: it names an activation that is not known.
        UnsafeFileError: it is larger than any such file.
    """
    folder = checkpoint.parent
    places = (folder / "params" / "agent.yaml", folder / "agent.yaml")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return RunSettings()
    data = read_file(path, MOST_BYTES)
    text = data.decode("utf-8", "replace")
    names = {found.lower() for found in _ACTIVATION.findall(text)}
    unknown = sorted(names - set(ACTIVATIONS))
    if unknown or len(names) > 1:
        raise TeacherFileError(
            f"{path}: one activation for all networks is supported, of "
            f"{', '.join(ACTIVATIONS)}; it names {', '.join(map(safe_text, sorted(names)))}"
        )
    gamma = _GAMMA.search(text)
    groups = _groups(text)
    actor, critic = groups.get("policy") or groups.get("actor"), groups.get("critic")
    seen = ", ".join(actor or ())
    note = f"its actor sees the observation groups {seen}, one behind the other"
    return RunSettings(
        activation=ACTIVATIONS[names.pop()] if names else nn.ELU,
        names_activation=bool(_ACTIVATION.search(text)),
        gamma=float(gamma[1]) if gamma else None,
        separate_critic=actor is not None and critic is not None and actor != critic,
        notes=(note,) if actor else (),
        digest=hashlib.sha256(data).hexdigest(),
    )


def _groups(text: str) -> dict[str, list[str]]:
    """The sets of obs_groups and their groups, in block or in flow style."""
    block = _GROUPS.search(text)
    groups: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (block[1] if block else "").splitlines():
        if found := _GROUP.match(line):
            current = groups.setdefault(found[1], [])
            current += re.findall(r"[\w/]+", line.partition(":")[2])
        elif line.strip().startswith("-"):
            current += re.findall(r"[\w/]+", line)
    return groups
