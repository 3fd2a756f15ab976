"""TorchScript and torch.export files: programs. Their tensors are data, their code is run on trust.

torch's readers of both execute what lies in the file. Nothing here does so unless the caller said
that he trusts it.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head, NetworkPolicy, PolicyInfo, QValueHead
from rldistill.errors import TaskError, TeacherFileError, UnsafeFileError
from rldistill.teachers.archive import Archive, read_file, safe_text
from rldistill.teachers.head_names import choose_head
from rldistill.teachers.layers import GreedyValue
from rldistill.teachers.script_names import is_export, is_script

WARNING = "warning: code that lies in this file was run, because it is trusted (trust, --trust)"


def refuse_code(path: Path, kind: str) -> UnsafeFileError:
    """What to say to somebody who neither trusts a program nor has a card for its tensors."""
    return UnsafeFileError(
        f"{path} is {kind}, a program: its code is run only with --trust (trust=True), for a "
        "file whose author you trust. Its tensors can be read without that, with a teacher card "
        "(--card FILE, docs/cards.md)"
    )


def load_trusted(
    path: Path,
    task_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
    head: Head | str | None,
) -> NetworkPolicy:
    """The policy that a program computes: its code is run.

    Args:
        path: of torch.jit.save or torch.export.save.
        task_shape: of the task's observations; required, since a program does not tell it.
        action_space: of the task.
        head: what its outputs mean, or the name of that.

    Raises:
        TeacherFileError: damaged, or it fails on an observation of the task.
        SettingError, TaskError: its outputs fit no head.
    """
    data, what = read_file(path), str(path)
    names = Archive(data, what).names
    kind = "torch.export" if is_export(names) else "TorchScript"
    module = Trusted(_run(data, names, what))
    shape = task_shape or _shape(module, what)
    size = _size(module, shape, what)
    found, notes = choose_head(head, size, action_space, what)
    module.requires_grad_(False).train(False)
    count = sum(tensor.numel() for tensor in module.parameters())
    greedy = isinstance(found, QValueHead)
    line = (
        f"{kind}: {'x'.join(map(str, shape))} -> {size}, {count:,} acting parameters, "
        f"value {'yes' if greedy else 'no'}, gamma unknown"
    )
    info = PolicyInfo(
        name=kind,
        framework=kind,
        observation_shape=shape,
        head=found,
        acting_parameters=count,
        parameters=count,
        value_units="raw" if greedy else "none",
        fingerprint=hashlib.sha256(data + str(found).encode()).hexdigest(),
        source=what,
        notes=(line, WARNING, *notes),
    )
    return NetworkPolicy(module, info, GreedyValue(module) if greedy else None)


def _run(data: bytes, names: tuple[str, ...], what: str) -> nn.Module:
    try:
        if is_script(names):
            return torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
        return torch.export.load(io.BytesIO(data)).module()
    except Exception as error:  # torch's C++ and the file's own code raise anything
        reason = safe_text(f"{type(error).__name__}: {error}", 200)
        raise TeacherFileError(f"{what} cannot be loaded by torch: {reason}") from error


def _shape(module: nn.Module, what: str) -> tuple[int, ...]:
    first = next((tensor for tensor in module.parameters() if tensor.ndim == 2), None)
    if first is None:
        raise TeacherFileError(f"{what}: a program does not tell its input: name the task")
    return (first.shape[1],)


def _size(module: nn.Module, shape: tuple[int, ...], what: str) -> int:
    try:
        with torch.no_grad():
            output = module(torch.zeros((2, *shape)))
    except Exception as error:  # the file's own code raises anything
        reason = safe_text(str(error), 200)
        raise TaskError(f"{what} does not take observations of shape {shape}: {reason}") from error
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 2:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise TeacherFileError(
            f"{what} must give one tensor [B, N] for B observations; for 2 it gives {given}"
        )
    return output.shape[1]


@final
class Trusted(nn.Module):
    """A program behind the interface of a module; its mode is its own and stays as it is."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, observations: Tensor) -> Tensor:
        return self.program(observations.float())

    def train(self, mode: bool = True) -> "Trusted":
        # An exported program has no modes, and raises where one is set.
        self.training = mode
        return self

    def __deepcopy__(self, memo: Mapping[int, Any]) -> "Trusted":
        del memo  # frozen and without state: a copy is the same
        return self
