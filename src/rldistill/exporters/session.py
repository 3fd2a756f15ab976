"""ONNX files in onnxruntime."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from rldistill.exporters.target import Subject
from rldistill.teachers.onnx_packages import open_session

Array = np.ndarray[Any, Any]


@final
class Session:
    """An ONNX file in onnxruntime, on one thread of the CPU."""

    def __init__(self, data: bytes, inputs: tuple[str, ...]) -> None:
        self._session = open_session(data)
        self._inputs = inputs
        self._outputs = [value.name for value in self._session.get_outputs()]

    def __call__(self, observations: Array, noise: Array | None) -> Mapping[str, Array]:
        given = (observations,) if noise is None else (observations, noise)
        feed = dict(zip(self._inputs, given, strict=True))
        return dict(zip(self._outputs, self._session.run(None, feed), strict=True))


def run(data: bytes, subject: Subject) -> Session:
    """A session of these bytes.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    return Session(data, tuple(port.name for port in subject.ports.inputs))
