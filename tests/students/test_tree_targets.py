"""Targets: what each state counts, and actions there and back."""

import numpy as np
import pytest
import torch

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError
from rldistill.students.tree_targets import targets_of

LOW, HIGH = (-2.0, 0.0), (2.0, 10.0)


def test_the_gap_of_q_values():
    targets = targets_of(QValueHead(3), np.array([[1, 3, 2], [5, 5, 4]], np.float32), True)
    assert targets.classes.tolist() == [1, 0]
    np.testing.assert_allclose(targets.weights, np.array([2, 1]) / 1.5)


def test_the_gap_of_log_probabilities_does_not_depend_on_a_constant():
    logits = np.array([[0, 1], [7, 10]], np.float32)
    weights = targets_of(CategoricalHead(2), logits, True).weights
    np.testing.assert_allclose(weights, [0.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(targets_of(CategoricalHead(2), logits + 5, True).weights, weights)


def test_a_masked_action_counts_as_one_in_a_hundred_million():
    logits = np.array([[0.0, -np.inf], [0.0, 0.0]], np.float32)
    weights = targets_of(CategoricalHead(2), logits, True).weights
    assert np.isfinite(weights).all()
    assert weights[1] == 0.0


def test_without_weights_or_differences_all_states_count_the_same():
    q = np.zeros((3, 2), np.float32)
    assert targets_of(QValueHead(2), q, True).weights.tolist() == [1, 1, 1]
    q[0] = [9, 0]
    assert targets_of(QValueHead(2), q, False).weights.tolist() == [1, 1, 1]


def test_a_squashed_state_counts_by_the_curvature_of_log_pi():
    """sigma = e^-1 and e^-2 at u = 0: the second counts e^2 times as much."""
    head = SquashedGaussianHead((-1.0,), (1.0,))
    raw = np.array([[0, -1], [0, -2]], np.float32)
    weights = targets_of(head, raw, True).weights
    assert weights[1] / weights[0] == pytest.approx(np.exp(2), rel=1e-5)


@pytest.mark.parametrize(
    "head", [GaussianHead(LOW, HIGH), DeterministicHead(LOW, HIGH)], ids=["gaussian", "none"]
)
def test_equal_or_no_deviations_weigh_all_states_the_same(head):
    raw = np.random.default_rng(0).standard_normal((6, head.num_outputs)).astype(np.float32)
    raw[:, 2:] = -1.0
    np.testing.assert_allclose(targets_of(head, raw, True).weights, 1.0)


@pytest.mark.parametrize("kind", [GaussianHead, SquashedGaussianHead, DeterministicHead])
def test_raw_outputs_made_of_columns_act_like_the_teacher(kind):
    head = kind(LOW, HIGH)
    raw = np.random.default_rng(0).normal(0, 2, (50, head.num_outputs)).astype(np.float32)
    targets = targets_of(head, raw, weighted=True)
    assert np.abs(targets.errors_of).max() <= 1.0
    clipped = lambda out: head(torch.from_numpy(out)).mode().numpy().clip(LOW, HIGH)  # noqa: E731
    again = targets.to_raw(targets.columns)
    assert again.shape == raw.shape
    np.testing.assert_allclose(clipped(again), clipped(raw), atol=2e-3)
    np.testing.assert_allclose(again[:, 2:], raw[:, 2:])


def test_outputs_that_are_no_numbers_are_refused():
    with pytest.raises(NotFiniteError):
        targets_of(GaussianHead(LOW, HIGH), np.full((1, 4), np.nan, np.float32), True)
    with pytest.raises(NotFiniteError):
        targets_of(QValueHead(2), np.array([[np.inf, 0]], np.float32), True)
