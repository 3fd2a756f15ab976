"""Our actions (an index from 0, or a flat float32 vector) -> what the environment expects."""

import math
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.errors import NotFiniteError, ShapeError, TaskError

Array = np.ndarray[Any, Any]


@final
class IndexWriter:
    """Indices int [B] in 0..A-1 -> the environment's Discrete, wherever that starts."""

    def __init__(self, space: spaces.Discrete) -> None:
        self.space = spaces.Discrete(int(space.n))
        self._count, self._start = int(space.n), int(space.start)

    def __call__(self, actions: Array) -> Array:
        """Checks and shifts: [B] -> [B].

        Raises:
            ShapeError: actions is not a vector of integers in 0..A-1.
        """
        indices = np.asarray(actions)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise ShapeError(
                f"actions must be integers [B], one index per env; got {indices.dtype} of shape "
                f"{indices.shape}"
            )
        if indices.dtype != np.int64:
            indices = indices.astype(np.int64)
        # A negative index is a huge unsigned one, so that one comparison finds both faults.
        if np.maximum.reduce(indices.view(np.uint64)) >= self._count:
            raise ShapeError(
                f"actions must lie in 0..{self._count - 1}; got {indices.min()}..{indices.max()}"
            )
        return indices + self._start if self._start else indices


@final
class VectorWriter:
    """Vectors float [B, D] -> the environment's Box: clipped to its bounds, in its shape and dtype.

    Infinite bounds do not clip.
    """

    def __init__(self, space: spaces.Box) -> None:
        low, high = space.low.ravel(), space.high.ravel()
        self.space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        self._low, self._high, self._shape = low, high, space.shape
        self._clips = bool(np.isfinite(low).any() or np.isfinite(high).any())

    def __call__(self, actions: Array) -> Array:
        """Checks, clips, reshapes: [B, D] -> [B, *shape].

        Raises:
            ShapeError: actions is not [B, D].
            NotFiniteError: an action is NaN or infinite.
        """
        vectors = np.asarray(actions)
        if vectors.ndim != 2 or vectors.shape[1] != len(self._low):
            raise ShapeError(
                f"actions must be [B, {len(self._low)}], one vector per env; got {vectors.shape}"
            )
        if not all_finite(vectors):
            raise NotFiniteError(
                "an action is NaN or infinite: the policy's output is not a number; check its "
                "weights and its observation statistics"
            )
        vectors = vectors.astype(self._low.dtype, copy=False)
        if self._clips:
            # In the environment's own dtype: a bound rounded to float32 may lie outside.
            vectors = np.minimum(np.maximum(vectors, self._low), self._high)
        return vectors.reshape(len(vectors), *self._shape)


ActionWriter = IndexWriter | VectorWriter


def action_writer(space: spaces.Space[Any]) -> ActionWriter:
    """The writer for this action space.

    Raises:
        TaskError: the space is neither Discrete nor a Box of floats.
    """
    if isinstance(space, spaces.Discrete):
        return IndexWriter(space)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return VectorWriter(space)
    raise TaskError(
        f"actions must be Discrete or a Box of floats; this task has {space}; give a wrapper that "
        "turns it into one of these"
    )


def all_finite(values: Array) -> bool:
    """Whether no entry of a float array is NaN or infinite.

    The sum of squares is three times faster than looking at each entry; where it overflows, the
    entries decide.

    >>> all_finite(np.array([1e30, -1e30], np.float32)), all_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    flat = values.reshape(-1)
    return math.isfinite(np.vdot(flat, flat)) or bool(np.isfinite(flat).all())
