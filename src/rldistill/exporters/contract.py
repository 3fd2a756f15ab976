"""The contract: a JSON file beside every export, which says what it is and how it was checked."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    NetworkPolicy,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import ExportError, RunFolderError
from rldistill.exporters.acting import Port
from rldistill.exporters.lower import find_normaliser
from rldistill.exporters.parity import Parity
from rldistill.exporters.target import Subject, Target
from rldistill.runs import read_json

FORMAT, VERSION = "rldistill export", 1
SUFFIX = ".contract.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What is known of a policy besides the policy.

    Attributes:
        task: id, backend and arguments; None where it is not known.
        view: through which the policy sees the task; None: what the task gives.
        observation_space: of the task, through that view; None where it is not known.
        features: name and unit of each number of a flat observation; None where not known.
        actions: what each action, or each number of it, does; None where not known.
        teacher: of a student: name and fingerprint; None where there is none.
        verdict: of the run that made it; None where there is none.
    """

    task: Mapping[str, Any] | None = None
    view: str | None = None
    observation_space: spaces.Box | None = None
    features: tuple[Mapping[str, str], ...] | None = None
    actions: tuple[Mapping[str, str], ...] | None = None
    teacher: Mapping[str, Any] | None = None
    verdict: Mapping[str, Any] | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How an export was checked.

    Attributes:
        parity: against the policy, observation by observation.
        verdict: of what it returns when it plays, where its precision makes errors of its own.
    """

    parity: Parity
    verdict: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict[str, str])


def write_contract(
    target: Target, subject: Subject, data: bytes, background: Background, evidence: Evidence
) -> dict[str, Any]:
    """The record that is written beside a file: plain JSON types."""
    info = subject.policy.info
    return {
        "format": FORMAT,
        "version": VERSION,
        "file": {
            "name": target.file_name(subject.name, subject.precision),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        },
        "target": target.name,
        "precision": str(subject.precision),
        "output": str(subject.output),
        "inputs": [_port(port) for port in subject.ports.inputs],
        "outputs": [_port(port) for port in subject.ports.outputs],
        "observation": _observation(subject.policy, subject.ports.inputs[0].dtype, background),
        "normaliser": _normaliser(subject.policy),
        "action": _action(subject.policy, background),
        "mask": None,
        "state": None,
        "policy": {
            "name": info.name,
            "framework": info.framework,
            "source": Path(info.source).name,
            "sha256": info.fingerprint,
            "parameters": info.acting_parameters,
            "gamma": info.gamma,
        },
        "teacher": background.teacher,
        "task": background.task,
        "verdict": background.verdict,
        "parity": evidence.parity.as_dict(),
        "export_verdict": evidence.verdict,
        "details": dict(target.describe(data, subject)),
        "versions": dict(evidence.versions),
    }


def _port(port: Port) -> dict[str, Any]:
    shape = ["batch", *port.shape]
    return {"name": port.name, "dtype": port.dtype, "shape": shape, "meaning": port.meaning}


def _observation(policy: NetworkPolicy, dtype: str, background: Background) -> dict[str, Any]:
    space = background.observation_space
    return {
        "view": background.view,
        "shape": list(policy.info.observation_shape),
        "dtype": dtype,
        "low": None if space is None else _few(space.low),
        "high": None if space is None else _few(space.high),
        "features": None if background.features is None else list(background.features),
    }


def _few(bounds: np.ndarray[Any, Any]) -> Any:
    """One number where all are equal, as those of pixels are; null where there is no bound."""
    same = bool((bounds == bounds.flat[0]).all())
    return float(bounds.flat[0]) if same else bounds.astype(float).tolist()


def _normaliser(policy: NetworkPolicy) -> dict[str, Any]:
    """The statistics of the policy's normaliser; it is inside of the file in any case."""
    step = find_normaliser(policy.module)
    if step is not None:
        return {
            "where": "inside the file: give it raw observations",
            "mean": step.mean.tolist(),
            "std": step.std.tolist(),
            "clip": step.clip,
        }
    return {"where": "none, or in the weights: give it raw observations"}


def _action(policy: NetworkPolicy, background: Background) -> dict[str, Any]:
    head = policy.info.head
    meaning = None if background.actions is None else list(background.actions)
    if isinstance(head, (CategoricalHead, QValueHead)):
        kind = "Q-values" if isinstance(head, QValueHead) else "logits"
        return {"kind": "discrete", "of": kind, "count": head.num_actions, "meaning": meaning}
    does = "clipped"
    if isinstance(head, SquashedGaussianHead):
        does = "low + (tanh(u) + 1) / 2 * (high - low), then clipped"
    of = "one action" if isinstance(head, DeterministicHead) else "normal"
    bounds = {"low": list(head.low), "high": list(head.high)}
    return {"kind": "continuous", "of": of, "size": len(head.low), **bounds} | {
        "to_bounds": does,
        "meaning": meaning,
    }


def read_contract(path: Path) -> tuple[dict[str, Any], bytes]:
    """A contract and the file that belongs to it.

    Args:
        path: an exported file, or its contract.

    Raises:
        ExportError: one of the two is missing or damaged, or they do not belong together.
    """
    contract_path = path if path.name.endswith(SUFFIX) else path.with_name(path.name + SUFFIX)
    if not contract_path.is_file():
        raise ExportError(f"{path} has no contract beside it: {contract_path.name} is required")
    try:
        contract = read_json(contract_path)
    except RunFolderError as error:
        raise ExportError(str(error)) from error
    match contract:
        case {
            "format": "rldistill export",
            "version": 1,
            "file": {"name": str(name), "sha256": str(sha256)},
        } if _SHA256.fullmatch(sha256) and Path(name).name == name:
            file = contract_path.with_name(name)
        case _:
            raise ExportError(f"{contract_path} is no contract of format {VERSION} of ours")
    if contract_path != path and file != path:
        raise ExportError(f"{contract_path.name} belongs to {name}, not to {path.name}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ExportError(
            f"{file} is not the file that {contract_path.name} is about: its sha256 is another; "
            "export again"
        )
    return contract, data
