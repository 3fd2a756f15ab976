"""CART: scikit-learn's trees, to the decision, in float32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.core import CategoricalHead, DeterministicHead, QValueHead
from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.students.cart import below, fit_cart, split
from rldistill.students.tree_targets import targets_of

trees = pytest.importorskip("sklearn.tree")


def problem(rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Inputs on a coarse grid, so that many lie exactly at thresholds."""
    generator = np.random.default_rng(0)
    x = (generator.integers(-20, 20, (rows, 4)) / 10).astype(np.float32)
    raw = np.sin(2 * x @ generator.standard_normal((4, 3))).astype(np.float32)
    return x, raw


@pytest.mark.parametrize("weighted", [False, True])
def test_classes_are_those_of_scikit_learn(weighted):
    x, q = problem()
    targets = targets_of(QValueHead(3), q, weighted)
    model = trees.DecisionTreeClassifier(max_leaf_nodes=50, random_state=0)
    model.fit(x, q.argmax(1), sample_weight=q.max(1) - q.min(1) if weighted else None)
    tree = fit_cart(x, targets, 50)
    assert tree.num_leaves == 50
    assert (tree.raw(x).argmax(1) == model.predict(x)).all()
    scale = model.tree_.weighted_n_node_samples[0] / len(x)
    cost = model.tree_.impurity * model.tree_.weighted_n_node_samples / scale
    np.testing.assert_allclose(tree.samples * tree.impurity, cost, rtol=1e-3, atol=1e-3)
    assert tree.samples.tolist() == model.tree_.n_node_samples.tolist()


def test_continuous_actions_are_those_of_scikit_learn():
    x, raw = problem()
    head = DeterministicHead((-1.0,) * 3, (1.0,) * 3)
    model = trees.DecisionTreeRegressor(max_leaf_nodes=20, random_state=0).fit(x, raw)
    tree = fit_cart(x, targets_of(head, raw, weighted=True), 20)
    np.testing.assert_allclose(tree.raw(x), model.predict(x), rtol=1e-4, atol=1e-5)


def test_values_are_smoothed_log_probabilities():
    x = np.array([[0], [0], [1], [1]], np.float32)
    logits = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8]], np.float32))
    tree = fit_cart(x, targets_of(CategoricalHead(2), logits, weighted=False), 2)
    np.testing.assert_allclose(np.exp(tree.raw(x[:1])), [[2.5 / 3, 0.5 / 3]], rtol=1e-6)
    np.testing.assert_allclose(np.exp(tree.raw(x[2:3])), [[0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(np.exp(tree.values[0]), [3.5 / 5, 1.5 / 5], rtol=1e-6)


def test_weights_decide_who_wins_a_leaf():
    """One state in which a wrong action costs much outweighs three in which it costs little."""
    x = np.zeros((4, 1), np.float32)
    q = np.array([[1, 0], [1, 0], [1, 0], [0, 10]], np.float32)
    act = lambda weighted: fit_cart(x, targets_of(QValueHead(2), q, weighted), 2).raw(x).argmax(1)  # noqa: E731
    assert act(weighted=True)[0] == 1
    assert act(weighted=False)[0] == 0


def test_one_action_everywhere_is_one_leaf():
    x, q = problem(50)
    q[:, 1] = 9.0
    tree = fit_cart(x, targets_of(QValueHead(3), q, weighted=True), 8)
    assert (tree.num_leaves, tree.values[0].argmax()) == (1, 1)
    assert split(x, targets_of(QValueHead(3), q, weighted=True)) is None


@given(st.floats(-1e30, 1e30), st.integers(-3, 3))
def test_rounding_a_threshold_changes_no_decision(threshold, ulps):
    x = np.float32(threshold)
    for _ in range(abs(ulps)):
        x = np.nextafter(x, np.float32(np.sign(ulps) * np.inf))
    rounded = below(np.array([threshold]))[0]
    assert rounded.dtype == np.float32
    assert bool(x <= rounded) == bool(np.float64(x) <= threshold)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_named(bad):
    x, q = problem(50)
    x[7, 2] = bad
    with pytest.raises(NotFiniteError, match="feature 2 of 1 observations"):
        fit_cart(x, targets_of(QValueHead(3), q, weighted=True), 8)


def test_no_leaf_and_no_state_are_refused():
    x, q = problem(50)
    targets = targets_of(QValueHead(3), q, weighted=True)
    with pytest.raises(SettingError, match="at least 1 leaf, got 0"):
        fit_cart(x, targets, 0)
    with pytest.raises(ShapeError, match="at least one flat observation"):
        fit_cart(x[:0], targets_of(QValueHead(3), q[:0], weighted=True), 2)
    with pytest.raises(ShapeError, match="and 50 labels"):
        fit_cart(x[:9], targets, 2)
    assert fit_cart(x, targets, 1).num_leaves == 1
