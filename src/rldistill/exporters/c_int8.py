"""Numbers of int8 in C: ranges of activations, scales, and weights of eight bits."""

from typing import Any

import numpy as np

from rldistill.exporters.interpret import run_step
from rldistill.exporters.steps import Conv, Dense, Fork, Residual, Steps

Array = np.ndarray[Any, Any]
# int8: the largest number seen takes a quarter of the range of an activation, what is beyond four
# times that saturates.
HEADROOM = 4.0
LARGEST_WEIGHT = 127
INT16_MAX, INT32_MAX = 2**15 - 1, 2**31 - 1


def ranges_of(steps: Steps, x: Array) -> dict[int, float]:
    """The largest |number| that each Dense and Conv was given over observations, by id of step."""
    found: dict[int, float] = {}
    for step in steps:
        if isinstance(step, Dense | Conv):
            found[id(step)] = float(np.abs(x).max()) or 1.0
        elif isinstance(step, Fork):
            found |= ranges_of(step.first, x) | ranges_of(step.second, x)
        elif isinstance(step, Residual):
            found |= ranges_of(step.steps, x)
        x = run_step(step, x)
    return found


def activation_scale(step: Dense | Conv, largest: float) -> tuple[int, float]:
    """The largest integer an input of a layer may become, and what one unit of it stands for.

    16 bits, or fewer where the int32 sum of that many products could overflow.
    """
    fan_in = int(np.prod(step.weight.shape[1:]))
    limit = min(INT16_MAX, INT32_MAX // (LARGEST_WEIGHT * fan_in))
    return limit, HEADROOM * largest / limit


def int8_weights(step: Dense | Conv) -> tuple[Array, Array]:
    """Weights int8 in -127..127 and one scale per output: symmetric, largest to 127."""
    flat = step.weight.reshape(len(step.weight), -1).astype(np.float64)
    largest = np.abs(flat).max(1)
    scales = np.where(largest > 0, largest, 1.0) / LARGEST_WEIGHT
    return np.rint(flat / scales[:, None]).astype(np.int8), scales
