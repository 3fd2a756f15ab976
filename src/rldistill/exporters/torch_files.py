"""TorchScript and torch.export files of the acting module."""

import io
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rldistill.errors import SettingError
from rldistill.exporters.acting import ActingModule
from rldistill.exporters.lower import require_finite
from rldistill.exporters.target import Runner, Subject
from rldistill.students.tree_module import TreeModule

Array = np.ndarray[Any, Any]
# Rows of the example that is traced: more than one, so that the batch is not taken for a constant.
EXAMPLE_ROWS = 3


def build_script(subject: Subject) -> bytes:
    """A TorchScript file, by tracing: nothing in it depends on the numbers it sees."""
    _require_traceable(subject)
    buffer = io.BytesIO()
    with _quiet(), torch.no_grad():
        module = ActingModule(subject.policy, subject.output)
        traced = torch.jit.trace(module, _example(subject), check_trace=False)
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def run_script(data: bytes, subject: Subject) -> Runner:
    """The TorchScript file in a torch of this version."""
    with _quiet():
        loaded: Any = torch.jit.load(io.BytesIO(data))
    return _runner(loaded, subject)


def build_export(subject: Subject) -> bytes:
    """A torch.export file (pt2) with a free batch dimension."""
    _require_traceable(subject)
    buffer = io.BytesIO()
    example = _example(subject)
    batch = torch.export.Dim("batch")
    with _quiet(), torch.no_grad():
        module = ActingModule(subject.policy, subject.output)
        program = torch.export.export(
            module, example, dynamic_shapes=tuple({0: batch} for _ in example)
        )
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it names files of this machine
        torch.export.save(program, buffer)
    return buffer.getvalue()


def run_export(data: bytes, subject: Subject) -> Runner:
    """The torch.export file in a torch of this version."""
    with _quiet():
        loaded: Any = torch.export.load(io.BytesIO(data)).module()
    return _runner(loaded, subject)


def reference(subject: Subject) -> Runner:
    """The policy itself, as the library plays it."""
    return _runner(ActingModule(subject.policy, subject.output), subject)


def _require_traceable(subject: Subject) -> None:
    """Check that what happens to one observation happens to all.

    Raises:
        SettingError: it depends on the observation which numbers are looked at.
        NotFiniteError: a weight is NaN or infinite.
    """
    require_finite(subject.policy)
    if any(isinstance(module, TreeModule) for module in subject.policy.module.modules()):
        raise SettingError(
            "a decision tree cannot be traced by torch; nearest are --to onnx, c and json"
        )


def _runner(module: Callable[..., tuple[Tensor, ...]], subject: Subject) -> Runner:
    names = [port.name for port in subject.ports.outputs]

    def run(observations: Array, noise: Array | None) -> Mapping[str, Array]:
        given = [observations] if noise is None else [observations, noise]
        with torch.no_grad():
            outputs = module(*map(torch.from_numpy, given))
        return {name: x.numpy() for name, x in zip(names, outputs, strict=True)}

    return run


def _example(subject: Subject) -> tuple[Tensor, ...]:
    kinds = {"float32": torch.float32, "uint8": torch.uint8}
    return tuple(
        torch.zeros((EXAMPLE_ROWS, *port.shape), dtype=kinds[port.dtype])
        for port in subject.ports.inputs
    )


@contextmanager
def _quiet() -> Generator[None]:
    """Without torch's own notices about TorchScript's age and its own pytrees."""
    with warnings.catch_warnings():
        # A TracerWarning is a plain Warning.
        warnings.simplefilter("ignore", Warning)
        yield
