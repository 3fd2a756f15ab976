"""Steps run in numpy: the meaning of a program, for calibration, the JSON export and the tests."""

import math
from typing import Any

import numpy as np

from rldistill.exporters.activations import written
from rldistill.exporters.steps import (
    Activation,
    Affine,
    Append,
    ChannelNorm,
    ChannelsFirst,
    Clip,
    Conv,
    Dense,
    Flatten,
    Fork,
    LayerNorm,
    MaxPool,
    Normalise,
    Residual,
    Shape,
    Squash,
    Step,
    Steps,
    Tree,
    arrays_of,
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
        case MaxPool():
            result = _pool(step, x)
        case ChannelsFirst():
            result = x.transpose(0, 3, 1, 2)
        case ChannelNorm():
            flat = _normalised(x.reshape(len(x), -1), step.epsilon).reshape(x.shape)
            result = flat * step.weight[:, None, None] + step.bias[:, None, None]
        case Residual():
            result = x + run_steps(step.steps, x)
        case Tree():
            result = arrays_of(step).raw(x)
        case Flatten():
            result = x.reshape(len(x), -1)
        case LayerNorm():
            result = _normalised(x, step.epsilon) * step.weight + step.bias
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


def _normalised(x: Array, epsilon: float) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)


def _convolve(step: Conv, x: Array) -> Array:
    windows = _windows(x, step.weight.shape[2:], step.stride, step.padding, 0.0)
    summed = np.einsum("bcijkl,ockl->boij", windows, step.weight.astype(x.dtype), optimize=True)
    return summed + step.bias[:, None, None]


def _pool(step: MaxPool, x: Array) -> Array:
    return _windows(x, step.kernel, step.stride, step.padding, -np.inf).max((-2, -1))


def _windows(x: Array, kernel: Shape, stride: Shape, padding: Shape, fill: float) -> Array:
    """[B, C, rows, columns, h, w]."""
    (top, left), (down, right) = padding, stride
    edges = ((0, 0), (0, 0), (top, top), (left, left))
    padded = np.pad(x, edges, constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, (2, 3))
    return windows[:, :, ::down, ::right]
