"""Inner loops that numba compiles where it is installed; this is the only file that imports it.

Without numba the same functions run as plain Python, with the same results up to rounding, some
hundred times slower.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


@functools.cache
def numba_installed() -> bool:
    """Whether the loops are compiled; the answer of the first call, which takes a millisecond."""
    return importlib.util.find_spec("numba") is not None


def fast(function: Function) -> Function:
    """Compile with numba where it is installed; such functions release the interpreter lock."""
    if not numba_installed():
        return function
    numba = importlib.import_module("numba")
    return cast(Function, numba.njit(nogil=True)(function))
