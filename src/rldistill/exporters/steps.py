"""A network as plain data: the few operations that every format outside Python can be given.

A program is a chain of steps from one observation to the raw outputs of a head. Each exporter
translates the steps into its own language, so a new kind of layer is a step, and a line in each.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Normalise:
    """clip((x - mean) / std, -clip, clip) per number; mean and std float64 [O]."""

    mean: Array
    std: Array
    clip: float | None


@final
@dataclass(frozen=True, slots=True)
class Dense:
    """weight [outputs, inputs] @ x + bias [outputs]; float32."""

    weight: Array
    bias: Array


@final
@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution of [C, H, W], plain: weight [outputs, C, h, w], bias [outputs]."""

    weight: Array
    bias: Array
    stride: tuple[int, int]
    padding: tuple[int, int]


@final
@dataclass(frozen=True, slots=True)
class Flatten:
    """[C, H, W] to [C * H * W], the last axis fastest."""


@final
@dataclass(frozen=True, slots=True)
class LayerNorm:
    """(x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias, over all numbers of x."""

    weight: Array
    bias: Array
    epsilon: float


@final
@dataclass(frozen=True, slots=True)
class Activation:
    """A function of each number by itself: a key of rldistill.exporters.activations.ACTIVATIONS."""

    name: str
    parameter: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class Affine:
    """x * scale + offset per number; float32 [N], or [1] for all numbers of an image."""

    scale: Array
    offset: Array


@final
@dataclass(frozen=True, slots=True)
class Clip:
    """x kept within [low, high] per number; float32 [N], infinite where it is free."""

    low: Array
    high: Array


@final
@dataclass(frozen=True, slots=True)
class Squash:
    """low + (tanh(x) + 1) / 2 * (high - low), and x itself where a bound is infinite; [N]."""

    low: Array
    high: Array


@final
@dataclass(frozen=True, slots=True)
class Append:
    """[x, values]: what does not see the observation, such as PPO's log standard deviations."""

    values: Array


@final
@dataclass(frozen=True, slots=True)
class Fork:
    """[first(x), second(x)]: two chains of steps from the same numbers."""

    first: "tuple[Step, ...]"
    second: "tuple[Step, ...]"


Step = (
    Normalise
    | Dense
    | Conv
    | Flatten
    | LayerNorm
    | Activation
    | Affine
    | Clip
    | Squash
    | Append
    | Fork
)
Steps = tuple[Step, ...]


def shape_after(step: Step, shape: Shape) -> Shape:
    """The shape of what a step gives for one x of this shape.

    >>> shape_after(Conv(np.zeros((8, 4, 3, 3)), np.zeros(8), (2, 2), (1, 1)), (4, 10, 10))
    (8, 5, 5)
    """
    match step:
        case Dense():
            return (step.weight.shape[0],)
        case Conv():
            sizes = zip(shape[1:], step.weight.shape[2:], step.stride, step.padding, strict=True)
            return (
                step.weight.shape[0],
                *((n + 2 * pad - kernel) // stride + 1 for n, kernel, stride, pad in sizes),
            )
        case Flatten():
            return (math.prod(shape),)
        case Append():
            return (shape[0] + len(step.values),)
        case Fork():
            return (end_shape(step.first, shape)[0] + end_shape(step.second, shape)[0],)
        case _:
            return shape


def end_shape(steps: Steps, shape: Shape) -> Shape:
    """The shape of what a chain of steps gives for one x of this shape."""
    for step in steps:
        shape = shape_after(step, shape)
    return shape
