"""What linear functions can do inside a box: their range, and which of them can be the largest.

A linear function over a box is largest at a corner, and the corner is found feature by feature. The
policy computes in float32; `slack` bounds what it can be wrong by, so that what is called
impossible is impossible for the policy as it runs.
"""

from typing import Any

import numpy as np
from scipy.optimize import linprog

from rldistill.explain.boxes import Box

Array = np.ndarray[Any, Any]
# Rounding of one float32 operation, doubled; times the number of operations it bounds a sum.
ROUNDING = 2.0**-23
# Bounds beyond this are no bounds for the solver.
UNBOUNDED = 1e30


def corners(coefficients: Array, region: Box) -> tuple[Array, Array]:
    """Where c @ x is smallest and largest in a box, for c [K, O]: float64 [K, O] each.

    >>> box = Box(np.float32([0, 0]), np.float32([1, 2]))
    >>> corners(np.array([[1.0, -1.0]]), box)[1].tolist()
    [[1.0, 0.0]]
    """
    low, high = region.low.astype(np.float64), region.high.astype(np.float64)
    rises = coefficients > 0
    return np.where(rises, low, high), np.where(rises, high, low)


def slack(values: Array, coefficients: Array, region: Box) -> Array:
    """What float32 can be wrong by when it computes values + coefficients @ x in a box: [K]."""
    far = np.maximum(np.abs(region.low), np.abs(region.high)).astype(np.float64)
    size = np.abs(values) + np.abs(coefficients).astype(np.float64) @ far
    return (coefficients.shape[1] + 3) * ROUNDING * size


def ranges(values: Array, coefficients: Array, region: Box) -> tuple[Array, Array]:
    """Bounds [K] on values [K] + coefficients [K, O] @ x in a box, rounded outwards.

    >>> box = Box(np.float32([0]), np.float32([1]))
    >>> low, high = ranges(np.array([1.0]), np.array([[2.0]]), box)
    >>> bool(low[0] <= 1.0 and high[0] >= 3.0)
    True
    """
    lowest, highest = corners(coefficients, region)
    values, coefficients = values.astype(np.float64), coefficients.astype(np.float64)
    error = slack(values, coefficients, region)
    low = values + (coefficients * lowest).sum(-1)
    return low - error, values + (coefficients * highest).sum(-1) + error


def excluded(values: Array, coefficients: Array, region: Box) -> Array:
    """Which of A linear functions are nowhere the largest in a box, shown by pairs: bool [A].

    Function a is out where the largest value of f_a - f_b over the box, at its corner, is below 0
    by more than rounding, for any b.
    """
    values, coefficients = values.astype(np.float64), coefficients.astype(np.float64)
    error = slack(values, coefficients, region)
    out = np.zeros(len(values), bool)
    for a in range(len(values)):
        steeper = coefficients[a] - coefficients
        _, highest = corners(steeper, region)
        most = values[a] - values + (steeper * highest).sum(-1)
        out[a] = bool((most + error[a] + error < 0).any())
    return out


def best_point(
    values: Array, coefficients: Array, region: Box, index: int, margin: float
) -> Array | None:
    """The observation nearest to 0 (in sum of distances) where one function leads by a margin.

    Args:
        values: [A].
        coefficients: [A, O].
        region: where.
        index: which function must be the largest.
        margin: by how much; below 0: it may be that much below another.

    Returns:
        float32 [O] in the region, or None where there is none.

    Source: a linear program, solved by HiGHS (scipy.optimize.linprog).
    """
    others = [b for b in range(len(values)) if b != index]
    centre = region.nearest(np.zeros(len(region.low))).astype(np.float64)
    size = len(centre)
    ahead = (coefficients[others] - coefficients[index]).astype(np.float64)  # f_b - f_a <= -margin
    room = (values[index] - values[others]).astype(np.float64) - margin
    identity = np.eye(size)
    rows = np.block(
        [
            [ahead, np.zeros((len(others), size))],
            [identity, -identity],
            [-identity, -identity],
        ]
    )
    bounds = [
        (None if a < -UNBOUNDED else a, None if b > UNBOUNDED else b)
        for a, b in zip(region.low.tolist(), region.high.tolist(), strict=True)
    ]
    found = linprog(
        np.concatenate([np.zeros(size), np.ones(size)]),
        A_ub=rows,
        b_ub=np.concatenate([room, centre, -centre]),
        bounds=[*bounds, *[(0, None)] * size],
    )
    return region.nearest(np.asarray(found.x[:size])) if found.status == 0 else None
