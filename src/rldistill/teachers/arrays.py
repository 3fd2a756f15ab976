"""Numeric arrays out of pickled placeholders and npy files: numbers only, sizes checked first."""

import io
import math
import re
from typing import Any

import numpy as np

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers.archive import safe_text
from rldistill.teachers.pickle import Inert

_NUMERIC = re.compile(r"[<>|=]?([biuf])([1248])")


def decode(node: Any, what: str) -> np.ndarray[Any, Any]:
    """The numeric array or scalar that a placeholder stands for, as a fresh array.

    Args:
        node: a number, or the Inert of a pickled numpy array or scalar.
        what: how error messages call it.

    Raises:
        TeacherFileError: it stands for something else, or shape and bytes disagree.
        UnsafeFileError: its dtype is not a plain number (object arrays hold further pickles).
    """
    if isinstance(node, (int, float)):
        return np.asarray(node)
    match node:
        case Inert(name="numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar"):
            dtype, raw, shape, order = _at(node.args, 0), _at(node.args, 1), (), "C"
        case Inert(
            name="numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct"
        ):
            state: tuple[Any, ...] = node.state if isinstance(node.state, tuple) else ()
            shape, dtype, raw = _at(state, -4), _at(state, -3), _at(state, -1)
            order = "F" if _at(state, -2) else "C"
        case Inert(name="numpy.core.numeric._frombuffer" | "numpy._core.numeric._frombuffer"):
            raw, dtype, shape = _at(node.args, 0), _at(node.args, 1), _at(node.args, 2)
            order = "F" if _at(node.args, 3) == "F" else "C"
        case _:
            raise TeacherFileError(f"{what}: a numeric array is required, got {_kind(node)}")
    return _filled(_numeric_dtype(dtype, what), _bytes(raw, what), shape, order, what)


def _filled(
    dtype: np.dtype[Any], raw: bytes, shape: Any, order: str, what: str
) -> np.ndarray[Any, Any]:
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise TeacherFileError(f"{what}: an array with an impossible shape")
    sizes: tuple[int, ...] = shape
    if len(sizes) > 8 or math.prod(sizes) * dtype.itemsize != len(raw):
        raise TeacherFileError(
            f"{what}: an array of shape {sizes} does not fit its {len(raw)} bytes"
        )
    flat = np.frombuffer(raw, dtype)
    return flat.reshape(sizes, order="F" if order == "F" else "C").copy()


def _numeric_dtype(node: Any, what: str) -> np.dtype[Any]:
    if not isinstance(node, Inert) or node.name != "numpy.dtype":
        raise TeacherFileError(f"{what}: an array without a dtype, got {_kind(node)}")
    code = _at(node.args, 0)
    found = _NUMERIC.fullmatch(code) if isinstance(code, str) else None
    if found is None:
        raise UnsafeFileError(
            f"{what}: an array of dtype {safe_text(repr(code))} instead of numbers"
        )
    order = _at(node.state, 1) if isinstance(node.state, tuple) else "<"
    return np.dtype((">" if order == ">" else "<") + found[1] + found[2])


def _bytes(node: Any, what: str) -> bytes:
    if isinstance(node, (bytes, bytearray)):
        return bytes(node)
    # Protocol 2 has no bytes: they are written as text, to be encoded back on loading.
    text = _at(node.args, 0) if isinstance(node, Inert) and node.name == "_codecs.encode" else node
    if not isinstance(text, str):
        raise TeacherFileError(f"{what}: an array without its bytes, got {_kind(text)}")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise TeacherFileError(f"{what}: an array whose bytes are no latin-1 text") from error


def _at(items: tuple[Any, ...], index: int) -> Any:
    return items[index] if -len(items) <= index < len(items) else None


def _kind(node: Any) -> str:
    return safe_text(node.name) if isinstance(node, Inert) else type(node).__name__


def read_npy(data: bytes, what: str) -> np.ndarray[Any, Any]:
    """A numeric array in numpy's own format, its shape checked before memory is taken.

    Raises:
        TeacherFileError: damaged, or its shape does not fit its bytes.
        UnsafeFileError: of another dtype than plain numbers.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_columns, dtype = read_header(stream)
    except Exception as error:  # numpy evaluates a literal: a mutated one raises nearly anything
        raise TeacherFileError(f"{what} is a damaged npy file: {error}") from error
    if dtype.kind not in "fiu":
        raise UnsafeFileError(f"{what}: an array of dtype {dtype} instead of numbers")
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise TeacherFileError(f"{what}: its shape {shape} does not fit its {len(data):,} bytes")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if by_columns else "C").copy()
