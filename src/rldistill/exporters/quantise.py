"""Ranges for int8, and ONNX files in int8 by onnxruntime's own quantiser."""

import tempfile
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.errors import SettingError, require
from rldistill.exporters import onnx, onnx_nodes
from rldistill.exporters.acting import Precision
from rldistill.exporters.interpret import run_step
from rldistill.exporters.steps import Affine, Conv, Dense, Steps
from rldistill.exporters.target import Subject

Array = np.ndarray[Any, Any]
# Observations that calibrate: more change the ranges little.
CALIBRATION_ROWS = 2048
CALIBRATION_BATCH = 256


def calibration(subject: Subject) -> Array:
    """Evenly spread recorded observations, as float32.

    Raises:
        SettingError: there are none.
    """
    rows = subject.observations
    if len(rows) == 0:
        raise SettingError("int8 takes its ranges from recorded observations; there are none")
    return rows[:: max(1, len(rows) // CALIBRATION_ROWS)][:CALIBRATION_ROWS].astype(np.float32)


def balanced(steps: Steps, observations: Array) -> Steps:
    """The same function with the inputs of the first Dense between -1 and 1, each by its own scale.

    One scale for all numbers of an observation would leave the small ones no digits. Networks that
    begin with a convolution see pixels, which share a scale.
    """
    x, kept = observations, list(steps)
    for index, step in enumerate(steps):
        if isinstance(step, Conv):
            break
        if isinstance(step, Dense):
            largest = np.abs(x).max(0)
            scale = np.where(largest > 0, largest, 1.0).astype(np.float32)
            zero = np.zeros(1, np.float32)
            dense = Dense((step.weight * scale).astype(np.float32), step.bias)
            kept[index : index + 1] = [Affine((1 / scale).astype(np.float32), zero), dense]
            break
        x = run_step(step, x)
    return tuple(kept)


@final
class _Reader:
    """Recorded observations in batches, as onnxruntime's calibration asks for them."""

    def __init__(self, subject: Subject) -> None:
        port = subject.ports.inputs[0]
        rows = calibration(subject).astype(port.dtype)
        batches = [rows[i : i + CALIBRATION_BATCH] for i in range(0, len(rows), CALIBRATION_BATCH)]
        self._feeds = iter([{port.name: batch} | _noise(subject, batch) for batch in batches])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


def _noise(subject: Subject, batch: Array) -> dict[str, Array]:
    port = subject.ports.noise
    return {} if port is None else {port.name: np.zeros((len(batch), *port.shape), np.float32)}


def build(subject: Subject) -> bytes:
    """The bytes of an ONNX file in the subject's precision.

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    if subject.precision in (Precision.FP32, Precision.FP16):
        return onnx.build(subject)
    steps = balanced(subject.steps, calibration(subject))
    plain = onnx_nodes.onnx().load_from_string(onnx.build(subject, steps))
    plain = onnx_nodes.onnx().shape_inference.infer_shapes(plain)
    # Shapes are inferred; without this mark onnxruntime logs to the root logger that they are not.
    plain.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    quantization = require("onnxruntime.quantization", extra="onnx")
    kinds = ["Gemm", "MatMul", "Conv"]
    with tempfile.TemporaryDirectory(prefix="rldistill-") as folder:
        path = Path(folder) / "quantised.onnx"
        if subject.precision is Precision.INT8_DYNAMIC:
            quantization.quantize_dynamic(plain, path, op_types_to_quantize=kinds, per_channel=True)
        else:
            quantization.quantize_static(
                plain,
                path,
                _Reader(subject),
                op_types_to_quantize=kinds,
                per_channel=True,
                extra_options={"ActivationSymmetric": False},
            )
        return path.read_bytes()
