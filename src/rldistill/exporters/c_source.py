"""Pieces of C99: literals, constant arrays, and buffers that are used again."""

import re
from typing import Any, final

import numpy as np

from rldistill.errors import SettingError

Array = np.ndarray[Any, Any]
# Scratch up to this many bytes lies on the stack, more of it in NAME_state.
MOST_STACK_BYTES = 4096
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_PER_LINE = 8


def require_name(name: str) -> str:
    """A name that can stand in front of C identifiers and be a file's.

    Raises:
        SettingError: it cannot.

    >>> require_name("lander")
    'lander'
    """
    if not _NAME.fullmatch(name):
        raise SettingError(
            "name must be a letter, then letters, digits and underscores, at most 63; got "
            f"{name!r:.80}"
        )
    return name


def literal(value: float) -> str:
    """A float32 as a literal of C and C++ that is read back exactly.

    >>> literal(0.1), literal(-3.0), literal(float("inf"))
    ('0.1f', '-3.0f', 'INFINITY')
    """
    number = np.float32(value)
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    text = repr(float(str(number)))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def floats(name: str, values: Array) -> str:
    """A constant array of floats."""
    return _constant(f"static const float {name}", [literal(x) for x in values.ravel()])


def integers(name: str, values: Array, kind: str) -> str:
    """A constant array of integers of a C type."""
    return _constant(f"static const {kind} {name}", [str(int(x)) for x in values.ravel()])


def _constant(declaration: str, words: list[str]) -> str:
    lines = [", ".join(words[i : i + _PER_LINE]) for i in range(0, len(words), _PER_LINE)]
    return f"{declaration}[{len(words)}] = {{\n    " + ",\n    ".join(lines) + "\n};"


@final
class Buffers:
    """Arrays of one C type that are handed out and taken back, so that few are needed."""

    def __init__(self, kind: str, name: str, bytes_each: int) -> None:
        self.kind = kind
        self.name = name
        self.bytes_each = bytes_each
        self._sizes: list[int] = []
        self._free: list[int] = []

    def take(self, size: int) -> str:
        """The name of an array of at least this many numbers that nobody uses."""
        if not self._free:
            self._free.append(len(self._sizes))
            self._sizes.append(0)
        index = self._free.pop()
        self._sizes[index] = max(self._sizes[index], size)
        return f"{self.name}{index}"

    def give_back(self, name: str) -> None:
        """What was taken can be used again; names of others are left alone."""
        if name.startswith(self.name):
            self._free.append(int(name.removeprefix(self.name)))

    @property
    def num_bytes(self) -> int:
        """Memory of all arrays."""
        return sum(self._sizes) * self.bytes_each

    def declarations(self) -> list[str]:
        """One line each."""
        return [f"{self.kind} {self.name}{i}[{size}];" for i, size in enumerate(self._sizes)]

    def aliases(self) -> list[str]:
        """Lines that give the arrays in NAME_state the same names."""
        return [
            f"{self.kind} *{self.name}{i} = state->{self.name}{i};" for i in range(len(self._sizes))
        ]
