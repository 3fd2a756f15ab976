"""From the last layer of a student's network to the raw outputs that its head reads."""

import math
from typing import TypeVar, final

import torch
from torch import Tensor, nn

from rldistill.core import DeterministicHead, GaussianHead, Head, SquashedGaussianHead
from rldistill.maths import gaussian

# A squashed Gaussian's log standard deviation is kept where its density is a number (as SB3 does).
LOG_STD_RANGE = (-20.0, 2.0)


def raw_outputs(out: Tensor, head: Head, log_std: Tensor | None) -> Tensor:
    """Raw outputs [B, outputs] of the last layer's [B, n] and, for a Gaussian, log_std [D].

    A Gaussian student has one learned log standard deviation per action dimension, as PPO's do; a
    squashed Gaussian one computes it from the state, as SAC's do; a deterministic one squashes its
    output into the action bounds where they are finite.
    """
    if log_std is not None:
        return torch.cat([out, log_std.expand_as(out)], -1)
    if isinstance(head, SquashedGaussianHead):
        mean, log_std = out.chunk(2, -1)
        return torch.cat([mean, log_std.clamp(*LOG_STD_RANGE)], -1)
    if isinstance(head, DeterministicHead):
        return _squash_where_bounded(out, head)
    return out


def output_sizes(head: Head) -> tuple[int, int]:
    """Width of the last layer, and how many parameters a student with this head has beside layers.

    >>> output_sizes(GaussianHead((-1.0, -1.0), (1.0, 1.0)))
    (2, 2)
    """
    if isinstance(head, GaussianHead):
        return len(head.low), len(head.low)
    return head.num_outputs, 0


def new_log_std(head: Head) -> nn.Parameter | None:
    """The log standard deviations that a Gaussian student learns; None for other heads."""
    size = output_sizes(head)[1]
    return nn.Parameter(torch.zeros(size)) if size else None


W = TypeVar("W", nn.Linear, nn.Conv2d)


@final
class Initialiser:
    """Sets the weights of new layers: "orthogonal" (gain sqrt 2, last layer 0.01) or "torch"."""

    def __init__(self, kind: str) -> None:
        self._orthogonal = kind == "orthogonal"

    def hidden(self, layer: W) -> W:
        """A layer before an activation."""
        self._set(layer, math.sqrt(2.0))
        return layer

    def last(self, layer: nn.Linear) -> nn.Linear:
        """The layer that gives the outputs: near 0 in every state."""
        self._set(layer, 0.01)
        return layer

    def _set(self, layer: nn.Linear | nn.Conv2d, gain: float) -> None:
        if self._orthogonal:
            nn.init.orthogonal_(layer.weight, gain)
            assert layer.bias is not None, "layers of students have biases"
            nn.init.zeros_(layer.bias)


def scale_linear(layer: nn.Module, factor: float) -> None:
    """Multiply what a linear layer gives by a number, in place."""
    for tensor in layer.parameters():
        tensor.data.mul_(factor)


def _squash_where_bounded(out: Tensor, head: DeterministicHead) -> Tensor:
    low, high = out.new_tensor(head.low), out.new_tensor(head.high)
    bounded = low.isfinite() & high.isfinite()
    # Finite stand-ins: where() alone would pass a NaN gradient from the branch it does not take.
    low, high = (torch.where(bounded, bound, 0.0) for bound in (low, high))
    return torch.where(bounded, gaussian.squash(out, low, high), out)
