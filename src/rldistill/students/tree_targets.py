"""What a tree is fitted to: the teacher's actions, how much each state counts, what leaves say."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError

Array = np.ndarray[Any, Any]

# A log-probability below this (a masked action) counts as this, in the gap between actions.
LEAST_LOG_PROBABILITY = float(np.log(1e-8))
# A deviation below this share of half the action range counts as this.
LEAST_DEVIATION = 0.05
# Means of squashed actions are kept this far, in half ranges, from the bounds that tanh only nears.
NEAR_BOUND = 1e-4


@final
@dataclass(frozen=True, slots=True)
class Targets:
    """What the teacher does in N states.

    Attributes:
        head: of the teacher.
        classes: int64 [N], its action among A; None for continuous actions.
        columns: float32 [N, C] for continuous actions: its action within the bounds, in half
            ranges, then the log standard deviations where the head has them; None for classes.
        weights: float64 [N], how much each state counts; the mean is 1.
    """

    head: Head
    classes: Array | None
    columns: Array | None
    weights: Array

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def num_actions(self) -> int:
        """A, or D for continuous actions."""
        head = self.head
        return (
            head.num_actions if isinstance(head, (CategoricalHead, QValueHead)) else len(head.low)
        )

    def rows(self, index: Array, weights: Array) -> "Targets":
        """Some of the states, with weights of their own."""
        classes = None if self.classes is None else self.classes[index]
        columns = None if self.columns is None else self.columns[index]
        return Targets(self.head, classes, columns, weights)

    @property
    def errors_of(self) -> Array:
        """float32 [N, K], what squared errors are taken of: one column per action, or dimension."""
        if self.classes is not None:
            return np.eye(self.num_actions, dtype=np.float32)[self.classes]
        assert self.columns is not None
        return self.columns[:, : self.num_actions]

    def to_raw(self, columns: Array) -> Array:
        """Raw outputs [N, outputs] of the head for columns [N, C] of continuous actions."""
        head = self.head
        assert not isinstance(head, (CategoricalHead, QValueHead))
        size = len(head.low)
        middle, half = middle_and_half(head)
        actions, rest = columns[:, :size], columns[:, size:]
        if isinstance(head, SquashedGaussianHead):
            inside = np.clip(actions, NEAR_BOUND - 1.0, 1.0 - NEAR_BOUND)
            return np.concatenate([np.arctanh(inside), rest], 1).astype(np.float32)
        return np.concatenate([actions * half + middle, rest], 1).astype(np.float32)


def middle_and_half(head: GaussianHead | SquashedGaussianHead | DeterministicHead) -> Array:
    """Middle and half of the range of each action dimension [2, D]; 0 and 1 where it is infinite.

    >>> middle_and_half(GaussianHead((-2.0,), (4.0,))).tolist()
    [[1.0], [3.0]]
    """
    low, high = np.array(head.low, np.float64), np.array(head.high, np.float64)
    bounded = np.isfinite(low) & np.isfinite(high) & (high > low)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    return np.stack([(low + high) / 2, (high - low) / 2])


def targets_of(head: Head, raw: Array, weighted: bool) -> Targets:
    """Targets for the teacher's raw outputs [N, outputs].

    Weights, where they are asked for, are what a wrong action may cost:

    * Q-values: max_a Q(s, a) - min_a Q(s, a), in reward (Bastani et al. 2018, section 3.1);
    * log-probabilities: max_a log pi(a | s) - min_a log pi(a | s), masked actions at log 1e-8;
    * Gaussian and squashed actions: the mean over dimensions of 1 / sigma(s)^2, sigma in half
      ranges of the action: the curvature of log pi at its mode, which for a policy such as SAC's
      is that of Q over the temperature. A deviation equal in all states weighs them all alike.
    * deterministic actions: 1, since nothing is known of what another action would cost.

    Args:
        head: of the teacher.
        raw: its outputs.
        weighted: else each state counts the same.

    Raises:
        NotFiniteError: an output that is compared is NaN or infinite.
    """
    if isinstance(head, (CategoricalHead, QValueHead)):
        classes = raw.argmax(1).astype(np.int64)
        gap = _gap(head, raw) if weighted else np.ones(len(raw))
        return Targets(head, classes, None, _mean_one(gap))
    columns = _columns(head, torch.from_numpy(raw))
    if not np.isfinite(columns).all():
        raise NotFiniteError("a tree cannot be fitted to actions that are NaN or infinite")
    weights = _precision(head, columns) if weighted else np.ones(len(raw))
    return Targets(head, None, columns, _mean_one(weights))


def _gap(head: CategoricalHead | QValueHead, raw: Array) -> Array:
    values = raw.astype(np.float64)
    if isinstance(head, CategoricalHead):
        values = torch.from_numpy(values).log_softmax(-1).numpy()
        values = np.maximum(values, LEAST_LOG_PROBABILITY)
    return values.max(1) - values.min(1)


def _columns(
    head: GaussianHead | SquashedGaussianHead | DeterministicHead, raw: torch.Tensor
) -> Array:
    """Actions in half ranges, then log deviations in the units of the head."""
    middle, half = middle_and_half(head)
    actions = head(raw).mode().numpy().astype(np.float64)
    actions = actions.clip(np.array(head.low), np.array(head.high))
    rest = raw.numpy()[:, len(head.low) :]
    return np.concatenate([(actions - middle) / half, rest], 1).astype(np.float32)


def _precision(head: Head, columns: Array) -> Array:
    """Mean over dimensions of 1 / sigma^2, sigma in half ranges of the action."""
    if isinstance(head, (DeterministicHead, CategoricalHead, QValueHead)):
        return np.ones(len(columns))
    size = len(head.low)
    sigma = np.exp(columns[:, size:].astype(np.float64))
    if isinstance(head, SquashedGaussianHead):
        sigma = sigma * (1.0 - columns[:, :size].astype(np.float64) ** 2)  # tanh' = 1 - tanh^2
    else:
        sigma = sigma / middle_and_half(head)[1]
    return (1.0 / np.maximum(sigma, LEAST_DEVIATION) ** 2).mean(1)


def _mean_one(weights: Array) -> Array:
    """Weights with mean 1; all 1 where the teacher is indifferent everywhere."""
    if not np.isfinite(weights).all():
        raise NotFiniteError("a tree cannot be fitted to outputs that are NaN or infinite")
    mean = weights.mean() if len(weights) else 0.0
    return weights / mean if mean > 0.0 else np.ones(len(weights))
