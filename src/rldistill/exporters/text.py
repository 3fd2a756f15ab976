"""The steps as JSON: a policy that any language can read and run without a library.

    {"format": "rldistill steps", "version": 1, "head": {...}, "steps": [{"kind": "Dense", ...}]}

Every step has its kind and the fields of its class in rldistill.exporters.steps, arrays as nested
lists; null in low or high means that this number is not bounded.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from rldistill.core import NetworkPolicy, head_to_json
from rldistill.errors import ExportError
from rldistill.exporters import steps as kinds
from rldistill.exporters.acting import ActingModule
from rldistill.exporters.activations import written
from rldistill.exporters.interpret import run_steps
from rldistill.exporters.lower import lower
from rldistill.exporters.steps import Step, Steps
from rldistill.exporters.target import Runner, Subject
from rldistill.runs import to_json

Array = np.ndarray[Any, Any]
FORMAT, VERSION = "rldistill steps", 1
_KINDS: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        *(kinds.Normalise, kinds.Dense, kinds.Conv, kinds.Flatten, kinds.LayerNorm, kinds.Fork),
        *(kinds.Activation, kinds.Affine, kinds.Clip, kinds.Squash, kinds.Append),
        *(kinds.MaxPool, kinds.ChannelsFirst, kinds.ChannelNorm, kinds.Residual, kinds.Tree),
    )
}


def build(subject: Subject) -> bytes:
    """The JSON text, with all raw outputs of the head whatever is given out."""
    record = {
        "format": FORMAT,
        "version": VERSION,
        "about": list(subject.heading),
        "observation_shape": list(subject.policy.info.observation_shape),
        "output": str(subject.output),
        "head": head_to_json(subject.policy.info.head),
        "steps": steps_to_json(lower(subject.policy)),
    }
    return to_json(record).encode()


def run(data: bytes, subject: Subject) -> Runner:
    """The steps that the text holds, run in numpy."""
    record: dict[str, Any] = json.loads(data)
    steps = steps_from_json(record["steps"])
    ends = ActingModule(NetworkPolicy(nn.Identity(), subject.policy.info), subject.output)
    names = [port.name for port in subject.ports.outputs]

    def decide(observations: Array, noise: Array | None) -> Mapping[str, Array]:
        raw = torch.from_numpy(run_steps(steps, observations.astype(np.float32)))
        outputs = ends(raw, None if noise is None else torch.from_numpy(noise))
        return {name: x.numpy() for name, x in zip(names, outputs, strict=True)}

    return decide


def steps_to_json(steps: Steps) -> list[dict[str, Any]]:
    """Plain JSON types; steps_from_json reads them.

    >>> steps_to_json((kinds.Flatten(), kinds.Activation("elu", 1.0)))
    [{'kind': 'Flatten'}, {'kind': 'Activation', 'name': 'elu', 'parameter': 1.0}]
    """
    return [{"kind": type(step).__name__, **_fields(step)} for step in steps]


def _fields(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(step):
        value = getattr(step, field.name)
        if isinstance(step, kinds.Fork | kinds.Residual):
            found[field.name] = steps_to_json(value)
        else:
            found[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
    return found


def steps_from_json(records: list[dict[str, Any]]) -> Steps:
    """The steps that steps_to_json wrote.

    Raises:
        ExportError: a step is unknown, or lacks a field.
    """
    return tuple(_step(record) for record in records)


def _step(record: dict[str, Any]) -> Step:
    kind = _KINDS.get(str(record.get("kind")))
    if kind is None:
        raise ExportError(f"unknown step {record.get('kind')!r:.40}; known: {', '.join(_KINDS)}")
    given: dict[str, Any] = {key: value for key, value in record.items() if key != "kind"}
    names = {field.name for field in dataclasses.fields(kind)}
    if set(given) != names:
        raise ExportError(f"a {record['kind']} needs {sorted(names)}; got {sorted(given)}")
    if kind is kinds.Activation:
        written(given["name"])
        return kinds.Activation(given["name"], float(given["parameter"]))
    return kind(**{name: _value(kind, name, value) for name, value in given.items()})


def _value(kind: Any, name: str, value: Any) -> Any:
    if kind in (kinds.Fork, kinds.Residual):
        return steps_from_json(value)
    if name in ("kernel", "stride", "padding"):
        return tuple(value)
    if not isinstance(value, list):
        return value
    if name in ("low", "high"):
        free = -np.inf if name == "low" else np.inf
        value = [free if x is None else x for x in value]
    if name in ("feature", "left", "right"):
        return np.array(value, np.int32)
    return np.array(value, np.float64 if kind is kinds.Normalise else np.float32)
