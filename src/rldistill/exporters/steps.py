"""A network as plain data: the few operations that every format outside Python can be given.

A program is a chain of steps from one observation to the raw outputs of a head. Each exporter
translates the steps into its own language, so a new kind of layer is a step, and a line in each.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.students.tree import TreeArrays

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
class MaxPool:
    """The largest of each window of [C, H, W]; what is beyond the edge never wins."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@final
@dataclass(frozen=True, slots=True)
class ChannelsFirst:
    """[H, W, C] to [C, H, W]."""


@final
@dataclass(frozen=True, slots=True)
class ChannelNorm:
    """LayerNorm over all numbers of [C, H, W], with weight and bias [C] for each channel."""

    weight: Array
    bias: Array
    epsilon: float


@final
@dataclass(frozen=True, slots=True)
class Residual:
    """x + steps(x)."""

    steps: "tuple[Step, ...]"


@final
@dataclass(frozen=True, slots=True)
class Tree:
    """A decision tree: the leaf's values, plus coefficients @ x where leaves are linear.

    Attributes:
        feature, left, right: int32 [N]; -1 at a leaf; x[feature] <= threshold goes left.
        threshold: float32 [N].
        values: float32 [N, outputs].
        coefficients: float32 [N, outputs, O], or [0] where leaves are constant.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    values: Array
    coefficients: Array


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
    | MaxPool
    | ChannelsFirst
    | ChannelNorm
    | Residual
    | Tree
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
            windows = (step.weight.shape[2:], step.stride, step.padding)
            return (step.weight.shape[0], *_windows(shape, *windows))
        case MaxPool():
            return (shape[0], *_windows(shape, step.kernel, step.stride, step.padding))
        case ChannelsFirst():
            return (shape[2], *shape[:2])
        case Tree():
            return (step.values.shape[1],)
        case Flatten():
            return (math.prod(shape),)
        case Append():
            return (shape[0] + len(step.values),)
        case Fork():
            return (end_shape(step.first, shape)[0] + end_shape(step.second, shape)[0],)
        case _:
            return shape


def _windows(shape: Shape, kernel: Shape, stride: Shape, padding: Shape) -> Shape:
    """How many windows there are from top to bottom and from left to right."""
    sizes = zip(shape[1:], kernel, stride, padding, strict=True)
    return tuple((n + 2 * pad - size) // step + 1 for n, size, step, pad in sizes)


def end_shape(steps: Steps, shape: Shape) -> Shape:
    """The shape of what a chain of steps gives for one x of this shape."""
    for step in steps:
        shape = shape_after(step, shape)
    return shape


def arrays_of(step: Tree) -> TreeArrays:
    """A tree as the library has it, without what it was grown from."""
    count = len(step.feature)
    return TreeArrays(
        feature=step.feature,
        threshold=step.threshold,
        left=step.left,
        right=step.right,
        values=step.values,
        coefficients=step.coefficients if step.coefficients.size else None,
        samples=np.ones(count, np.int64),
        impurity=np.zeros(count, np.float32),
    )
