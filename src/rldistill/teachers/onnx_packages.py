"""The packages of the extra [onnx]: the only file that imports onnx and onnxruntime itself."""

from types import ModuleType
from typing import Any

from rldistill.errors import require


def onnx() -> ModuleType:
    """The onnx package.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("onnx", extra="onnx")


def open_session(data: bytes) -> Any:
    """A session of onnxruntime on one thread of the CPU.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    runtime = require("onnxruntime", extra="onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
