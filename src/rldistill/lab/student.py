"""Softmax students and the losses that pull them to a teacher, per state, in nats."""

from dataclasses import dataclass
from typing import Protocol, final

import numpy as np

from rldistill.errors import SettingError, ShapeError
from rldistill.lab.mdp import FloatArray


@final
@dataclass(frozen=True, eq=False, slots=True)
class Student:
    """pi_theta(a | s) = softmax_a(logits(s, a)), logits linear in theta [P].

    Attributes:
        num_states: S.
        num_actions: A.
        features: [S, A, P]: logits(s, a) = features(s, a) . theta. None is the tabular student:
            theta holds one logit per state and action, in this order.

    Raises:
        ShapeError: features are not [S, A, P].
    """

    num_states: int
    num_actions: int
    features: FloatArray | None = None

    def __post_init__(self) -> None:
        shape = (self.num_states, self.num_actions)
        if self.features is not None and self.features.shape[:2] != shape:
            raise ShapeError(f"features must be [S, A, P] with S, A = {shape}")

    @property
    def num_parameters(self) -> int:
        """P."""
        if self.features is None:
            return self.num_states * self.num_actions
        return int(self.features.shape[2])

    def log_policy(self, theta: FloatArray) -> FloatArray:
        """log pi_theta [S, A].

        Raises:
            ShapeError: theta is not [P].
        """
        if theta.shape != (self.num_parameters,):
            raise ShapeError(f"theta must be [P] = {(self.num_parameters,)}, got {theta.shape}")
        if self.features is None:
            return log_softmax(theta.reshape(self.num_states, self.num_actions))
        return log_softmax(self.features @ theta)

    def policy(self, theta: FloatArray) -> FloatArray:
        """pi_theta [S, A].

        Raises:
            ShapeError: theta is not [P].
        """
        return np.exp(self.log_policy(theta))

    def pull(self, slope: FloatArray) -> FloatArray:
        """From a gradient with respect to the logits [S, A] to one with respect to theta [P]."""
        if self.features is None:
            return slope.reshape(-1)
        return np.einsum("sa,sap->p", slope, self.features)


def log_softmax(logits: FloatArray) -> FloatArray:
    """log softmax over the last axis.

    >>> np.exp(log_softmax(np.array([0.0, 0.0]))).tolist()
    [0.5, 0.5]
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


class Loss(Protocol):
    """An alignment loss l: one number per state, and its slope in that state's logits."""

    def value(self, log_policy: FloatArray) -> FloatArray:
        """l(s) [S] from log pi_theta [S, A]."""
        ...

    def slope(self, log_policy: FloatArray) -> FloatArray:
        """d l(s) / d logits(s, a) [S, A]."""
        ...


@final
@dataclass(frozen=True, eq=False, slots=True)
class CrossEntropy:
    """Hx(pi || pi_theta) = -sum_a pi(a) log pi_theta(a); smallest at pi_theta = pi.

    Attributes:
        teacher: pi [S, A].
    """

    teacher: FloatArray

    def value(self, log_policy: FloatArray) -> FloatArray:
        """[S]."""
        return -(self.teacher * log_policy).sum(axis=1)

    def slope(self, log_policy: FloatArray) -> FloatArray:
        """pi_theta - pi [S, A]."""
        return np.exp(log_policy) - self.teacher


@final
@dataclass(frozen=True, eq=False, slots=True)
class LinearLoss:
    """l(s) = sum_a weights(s, a) pi_theta(a | s); smallest at a single action.

    With weights -log pi this is Hx(pi_theta || pi), the loss of expected-entropy regularisation.

    Attributes:
        weights: [S, A].

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), table 1, row exp. entropy regularised.
    """

    weights: FloatArray

    def value(self, log_policy: FloatArray) -> FloatArray:
        """[S]."""
        return (self.weights * np.exp(log_policy)).sum(axis=1)

    def slope(self, log_policy: FloatArray) -> FloatArray:
        """pi_theta(a) (weights(a) - l) [S, A]."""
        mean = self.value(log_policy)[:, None]
        return np.exp(log_policy) * (self.weights - mean)


def clamped_log(teacher: FloatArray, floor: float) -> FloatArray:
    """log max(pi, floor) [S, A]: the teacher's log-probabilities where it may be 0.

    Raises:
        SettingError: a floor that is not in (0, 1).

    >>> clamped_log(np.array([[1.0, 0.0]]), 0.5).round(3).tolist()
    [[0.0, -0.693]]
    """
    if not 0.0 < floor < 1.0:
        raise SettingError(f"floor must lie in (0, 1), got {floor}")
    return np.log(np.maximum(teacher, floor))
