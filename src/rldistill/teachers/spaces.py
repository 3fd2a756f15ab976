"""What a file says about its observation and action spaces, in words and plain numbers."""

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.errors import TeacherFileError
from rldistill.teachers import arrays, pickle

_SERIALIZED = ":serialized:"
_KIND = re.compile(r"<class '[\w.]*?(\w+)'>")
MOST_DIMENSIONS = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class SpaceRecord:
    """A space as far as a file tells, all fields None or empty where it does not.

    Attributes:
        kind: class name: "Box", "Discrete", "Dict", ...; "" if unknown.
        shape: of a Box.
        count: n of a Discrete.
        low, high: flat bounds of a Box.
        dtype: "float32", "uint8", ...
    """

    kind: str = ""
    shape: tuple[int, ...] | None = None
    count: int | None = None
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    dtype: str = ""

    @property
    def size(self) -> int | None:
        """How many numbers an element of a Box has."""
        return None if self.shape is None else math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        """Whether stable-baselines3 would divide it by 255 (3 dimensions of uint8)."""
        return self.dtype == "uint8" and self.shape is not None and len(self.shape) == 3


def record_of_space(space: spaces.Space[Any] | None) -> SpaceRecord:
    """The record of a live space."""
    kind = "" if space is None else type(space).__name__
    if isinstance(space, spaces.Discrete):
        return SpaceRecord(kind, count=int(space.n))
    if isinstance(space, spaces.Box):
        low, high = (tuple(float(x) for x in bound.ravel()) for bound in (space.low, space.high))
        return SpaceRecord(kind, space.shape, None, low, high, str(space.dtype))
    return SpaceRecord(kind)


def record_of_json(entry: object) -> SpaceRecord:
    """The record of a space in the `data` of a stable-baselines3 zip.

    Its readable siblings are taken: the printed bounds where they are whole, else the pickled
    arrays by the allow-list reader.
    """
    if not isinstance(entry, Mapping):
        return SpaceRecord()
    fields: Mapping[str, Any] = entry
    found = _KIND.fullmatch(str(fields.get(":type:", ""))[:200])
    shape = _shape(fields.get("_shape", fields.get("shape")))
    low, high = (_printed(fields.get(name), shape) for name in ("low", "high"))
    if found and found[1] == "Box" and (low is None or high is None):
        low, high = _pickled(fields.get(_SERIALIZED), shape)
    return SpaceRecord(
        found[1] if found else "",
        shape,
        _count(fields.get("n")),
        low,
        high,
        str(fields.get("dtype", ""))[:20],
    )


def _shape(value: object) -> tuple[int, ...] | None:
    sizes: list[Any] = value if isinstance(value, list) else []
    plain = isinstance(value, list) and all(type(n) is int and n > 0 for n in sizes)
    return tuple(sizes) if plain and math.prod(sizes) <= MOST_DIMENSIONS else None


def _count(value: object) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII) else None


def _printed(value: object, shape: tuple[int, ...] | None) -> tuple[float, ...] | None:
    """Numbers of a printed array; None where numpy shortened it with dots or it does not fit."""
    if not isinstance(value, str) or shape is None or len(value) > 64 * MOST_DIMENSIONS:
        return None
    words = value.replace("[", " ").replace("]", " ").replace(",", " ").split()
    try:
        numbers = tuple(float(np.float32(word)) for word in words)
    except ValueError:
        return None
    return (
        numbers if len(numbers) == math.prod(shape) and not any(map(math.isnan, numbers)) else None
    )


def _pickled(
    value: object, shape: tuple[int, ...] | None
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    try:
        node = pickle.read(base64.b64decode(str(value), validate=True), "a pickled space")
        state = node.state if isinstance(node, pickle.Inert) else None
        if not isinstance(state, dict) or shape is None:
            return None, None
        low, high = (arrays.decode(state.get(k), f"bound {k}").ravel() for k in ("low", "high"))
    except (ValueError, TeacherFileError):
        return None, None  # bounds are then unknown, which the caller reports where it matters
    if low.size != math.prod(shape) or high.size != low.size or np.isnan([low, high]).any():
        return None, None
    return tuple(float(x) for x in low), tuple(float(x) for x in high)
