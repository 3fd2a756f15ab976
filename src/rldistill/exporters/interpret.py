"""Steps run in numpy: the meaning of a program, for calibration, the JSON export and the tests."""

import math
from typing import Any

import numpy as np

from rldistill.exporters.activations import written
from rldistill.exporters.steps import (
    Activation,
    Affine,
    Append,
    Clip,
    Conv,
    Dense,
    Flatten,
    Fork,
    LayerNorm,
    Normalise,
    Squash,
    Step,
    Steps,
)

Array = np.ndarray[Any, Any]


def run_steps(steps: Steps, observations: Array) -> Array:
    """Raw outputs [B, outputs] for observations [B, ...], in the precision of these.

    >>> run_steps((Activation("relu"),), np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """
    x = observations
    for step in steps:
        x = run_step(step, x)
    return x


def run_step(step: Step, x: Array) -> Array:
    """What one step gives for x [B, ...], in the precision of x."""
    match step:
        case Normalise():
            normal = (x.astype(np.float64) - step.mean) / step.std
            clip = math.inf if step.clip is None else step.clip
            result = normal.clip(-clip, clip)
        case Dense():
            result = x @ step.weight.T.astype(x.dtype) + step.bias
        case Conv():
            result = _convolve(step, x)
        case Flatten():
            result = x.reshape(len(x), -1)
        case LayerNorm():
            centred = x - x.mean(-1, keepdims=True)
            std = np.sqrt((centred**2).mean(-1, keepdims=True) + step.epsilon)
            result = centred / std * step.weight + step.bias
        case Activation():
            result = written(step.name).numpy(x, step.parameter)
        case Affine():
            result = x * step.scale + step.offset
        case Clip():
            result = x.clip(step.low, step.high)
        case Squash():
            result = _squash(step, x)
        case Append():
            result = np.concatenate(
                [x, np.broadcast_to(step.values, (len(x), len(step.values)))], 1
            )
        case Fork():
            result = np.concatenate([run_steps(step.first, x), run_steps(step.second, x)], 1)
    return result.astype(x.dtype, copy=False)


def _squash(step: Squash, x: Array) -> Array:
    bounded = np.isfinite(step.low) & np.isfinite(step.high)
    low, high = np.where(bounded, step.low, 0.0), np.where(bounded, step.high, 0.0)
    return np.where(bounded, low + 0.5 * (np.tanh(x) + 1.0) * (high - low), x)


def _convolve(step: Conv, x: Array) -> Array:
    (top, left), (down, right) = step.padding, step.stride
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, step.weight.shape[2:], (2, 3))
    windows = windows[:, :, ::down, ::right]
    summed = np.einsum("bcijkl,ockl->boij", windows, step.weight.astype(x.dtype), optimize=True)
    return summed + step.bias[:, None, None]
