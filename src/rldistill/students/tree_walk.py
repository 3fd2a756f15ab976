"""Which leaf each of many observations reaches, by loops that numba compiles."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rldistill.maths.compiled import fast, numba_installed

Array = np.ndarray[Any, Any]
# Below this many comparisons a walk level by level takes less than a call into compiled code that
# has to be compiled first, which takes about a second once per process.
WORTH_COMPILING = 100_000


def compiled_walk_pays(rows: int, depth: int) -> bool:
    """Whether so many observations should be walked by compiled loops.

    >>> compiled_walk_pays(64, 10)
    False
    """
    return rows * depth >= WORTH_COMPILING and numba_installed()


def walk(observations: Array, feature: Array, threshold: Array, children: Array) -> Array:
    """The leaf that each observation reaches: int32 [B].

    Args:
        observations: float32 [B, O].
        feature: int32 [N], -1 at a leaf.
        threshold: float32 [N].
        children: int32 [N, 2], left and right.
    """
    leaves = np.empty(len(observations), np.int32)
    _compiled()(observations, feature, threshold, children, leaves)
    return leaves


@functools.cache
def _compiled() -> Callable[..., None]:
    return fast(_walk)


def _walk(x: Array, feature: Array, threshold: Array, children: Array, leaves: Array) -> None:
    for row in range(x.shape[0]):
        node = 0
        while feature[node] >= 0:
            node = children[node, 0 if x[row, feature[node]] <= threshold[node] else 1]
        leaves[row] = node
