"""Trees of linear models find functions that are linear in pieces."""

import numpy as np
import pytest
import torch

from rldistill.core import DeterministicHead, QValueHead, SquashedGaussianHead
from rldistill.errors import SettingError
from rldistill.students.cart import fit_cart
from rldistill.students.linear_tree import fit_linear_tree
from rldistill.students.tree_targets import targets_of

WIDE = DeterministicHead((-50.0,) * 2, (50.0,) * 2)


def states(rows: int = 4000, inputs: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-3, 5, (rows, inputs)).astype(np.float32)


def in_pieces(x: np.ndarray) -> np.ndarray:
    """Two linear pieces, split at x2 = 1."""
    left = np.stack([1 + 2 * x[:, 0], x[:, 1] - x[:, 3]], 1)
    right = np.stack([5 - x[:, 0], 3 * x[:, 2]], 1)
    return np.where(x[:, 2:3] <= 1, left, right).astype(np.float32)


def test_pieces_are_found_that_constants_cannot_hold():
    x = states()
    targets = targets_of(WIDE, in_pieces(x), weighted=True)
    tree = fit_linear_tree(x, targets, 4)
    new = states()[::-1] * 0.9
    error = np.abs(tree.raw(new) - in_pieces(new)).mean()
    assert error < 0.15 * np.abs(fit_cart(x, targets, 4).raw(new) - in_pieces(new)).mean()
    assert tree.feature[0] == 2
    assert tree.threshold[0] == pytest.approx(1.0, abs=0.3)


def test_one_leaf_is_least_squares():
    x = states()
    y = (x @ np.ones((4, 2)) + 7).astype(np.float32)
    tree = fit_linear_tree(x, targets_of(WIDE, y, weighted=True), 1)
    np.testing.assert_allclose(tree.raw(x), y, atol=0.02)


def test_classes_on_two_sides_of_a_slanted_line_need_one_leaf():
    x = states()
    q = np.stack([x[:, 0] + x[:, 1], np.full(len(x), 2.0)], 1).astype(np.float32)
    targets = targets_of(QValueHead(2), q, weighted=False)
    agree = (fit_linear_tree(x, targets, 1).raw(x).argmax(1) == q.argmax(1)).mean()
    assert agree > 0.98
    assert (fit_cart(x, targets, 4).raw(x).argmax(1) == q.argmax(1)).mean() < 0.95


def test_squashed_actions_are_fitted_where_tanh_is_saturated_too():
    x = states()
    head = SquashedGaussianHead((-2.0,), (2.0,))
    raw = np.stack([x[:, 0] - x[:, 1], np.full(len(x), -1.0)], 1).astype(np.float32)
    tree = fit_linear_tree(x, targets_of(head, raw, weighted=True), 1)
    act = lambda out: head(torch.from_numpy(out)).mode().numpy()  # noqa: E731
    assert np.abs(act(tree.raw(x)) - act(raw)).mean() < 0.1


def test_many_inputs_take_the_splits_of_cart():
    x = states(500, 40)
    targets = targets_of(QValueHead(2), np.stack([x[:, 7], x[:, 8]], 1), weighted=True)
    tree, plain = fit_linear_tree(x, targets, 5), fit_cart(x, targets, 5)
    assert tree.feature.tolist() == plain.feature.tolist()
    assert tree.coefficients.shape == (9, 2, 40)


def test_a_constant_input_and_few_states_do_no_harm():
    x = states(30)
    x[:, 2] = 4.0
    tree = fit_linear_tree(x, targets_of(WIDE, in_pieces(x), weighted=True), 8)
    assert np.isfinite(tree.raw(x)).all()
    assert (tree.coefficients[:, :, 2] == 0).all()


def test_no_leaves_are_refused():
    with pytest.raises(SettingError, match="at least 1 leaf"):
        fit_linear_tree(states(), targets_of(WIDE, in_pieces(states()), weighted=True), 0)
