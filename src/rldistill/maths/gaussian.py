"""Gaussian policies over D continuous action dimensions."""

from torch import Tensor


def squash(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """low + (tanh(u) + 1) / 2 * (high - low): the bounded action of an unbounded u [..., D]."""
    return low + (u.tanh() + 1.0) * 0.5 * (high - low)
