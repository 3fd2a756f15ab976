"""Teachers in ONNX: run by onnxruntime behind the interface of a module."""

import hashlib
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head, NetworkPolicy, PolicyInfo, QValueHead
from rldistill.errors import TeacherFileError
from rldistill.teachers.archive import safe_text
from rldistill.teachers.head_names import choose_head
from rldistill.teachers.layers import GreedyValue, frozen
from rldistill.teachers.onnx_model import OnnxModel, choose_output, observation_shape, read_onnx
from rldistill.teachers.onnx_packages import open_session

CHILD = Path(__file__).with_name("onnx_child.py")
SECONDS = 120
# Kinds of numbers that an observation may be given in.
DTYPES = ("float32", "float64", "float16", "uint8", "int64", "int32")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a session is made of: bytes, names, and how rows go in."""

    data: bytes
    input: str
    output: str
    dtype: str
    size: int
    batched: bool
    has_batch: bool


def load_onnx(
    path: Path,
    task_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
    head: Head | str | None,
) -> NetworkPolicy:
    """The policy in an ONNX file, its normaliser being whatever its graph does.

    The file is checked as data, then tried out in a child process, then run here.

    Args:
        path: of the file; tensors may lie in files of its folder.
        task_shape: of the task's observations, for sizes that the file leaves open.
        action_space: of the task: what the outputs mean where head does not say it.
        head: what the outputs mean, or the name of that.

    Raises:
        TeacherFileError: damaged, recurrent, random, or it fails when it is run.
        UnsafeFileError: it reads files outside its folder, or may exhaust the machine.
        SettingError, TaskError: its outputs fit no head.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    model, what = read_onnx(path), str(path)
    if model.seen.dtype not in DTYPES:
        raise TeacherFileError(f"{what}: its input is {model.seen.dtype}, no numbers")
    shape = observation_shape(model, task_shape, what)
    discrete = isinstance(action_space, spaces.Discrete) or head in ("categorical", "q-values")
    port = choose_output(model, is_discrete=discrete or isinstance(head, QValueHead))
    program = _tried_out(model, shape, port.name, what)
    found, notes = choose_head(head, program.size, action_space, what)
    others = [safe_text(other.name) for other in model.outputs if other.name != port.name]
    if others:
        notes += (f"output {safe_text(port.name)} is taken; it has {', '.join(others)} too",)
    if not program.batched:
        notes += ("it takes one observation at a time: batches go through it row by row",)
    module = OnnxModule(program).eval()
    line = (
        f"ONNX ({model.producer}): {'x'.join(map(str, shape))} -> {program.size}, "
        f"{model.parameters:,} acting parameters, "
        f"value {'yes' if isinstance(found, QValueHead) else 'no'}, gamma unknown"
    )
    info = PolicyInfo(
        name="ONNX",
        framework=f"ONNX ({model.producer})",
        observation_shape=shape,
        head=found,
        acting_parameters=model.parameters,
        parameters=model.parameters,
        value_units="raw" if isinstance(found, QValueHead) else "none",
        # Another head makes another teacher of the same file.
        fingerprint=hashlib.sha256(f"{model.sha256} {found}".encode()).hexdigest(),
        source=what,
        notes=(line, *notes),
    )
    return NetworkPolicy(
        module, info, GreedyValue(module) if isinstance(found, QValueHead) else None
    )


def _tried_out(model: OnnxModel, shape: tuple[int, ...], output: str, what: str) -> Program:
    """Run it once where a crash, a hang or a hunger for memory does no harm."""
    settings = {
        "bytes": len(model.data),
        "shape": shape,
        "dtype": model.seen.dtype,
        "input": model.seen.name,
        "output": output,
        "has_batch": model.batched is not None,
    }
    given = json.dumps(settings).encode() + b"\n" + model.data + (model.batched or b"")
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(CHILD)], input=given, capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise TeacherFileError(f"{what}: it did not act within {SECONDS} s") from error
    if done.returncode != 0:
        said = safe_text(done.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1], 300)
        reason = said or f"onnxruntime died ({done.returncode})"
        raise TeacherFileError(f"{what}: a damaged ONNX file, or one that fails: {reason}")
    found: dict[str, Any] = json.loads(done.stdout)
    batched = bool(found["batched"])
    return Program(
        data=(model.batched or b"") if batched else model.data,
        input=model.seen.name,
        output=output,
        dtype=model.seen.dtype,
        size=int(found["size"]),
        batched=batched,
        has_batch=model.batched is not None,
    )


@final
class OnnxModule(nn.Module):
    """An ONNX file behind the interface of a module: observations [B, ...] to [B, N]."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self._session = open_session(program.data)
        # Tells the device that its outputs go to, as the weights of others do.
        self.anchor = frozen(torch.empty(0))

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot be copied or sent: a new one is opened from the same bytes.
        return OnnxModule, (self.program,)

    def forward(self, observations: Tensor) -> Tensor:
        program = self.program
        given = observations.detach().cpu().numpy().astype(program.dtype)
        if program.batched:
            out = self._run(given)
        else:
            rows = given[:, None] if program.has_batch else given
            out = np.concatenate([self._run(row).reshape(1, -1) for row in rows])
        flat = out.reshape(len(given), math.prod(out.shape[1:]))
        return torch.as_tensor(flat, device=self.anchor.device).float()

    def _run(self, observations: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        program = self.program
        return np.asarray(self._session.run([program.output], {program.input: observations})[0])
