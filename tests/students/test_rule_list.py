"""Rule lists: chains whose rules are found in the order of what they gain."""

import numpy as np
import pytest

from rldistill.core import DeterministicHead, QValueHead
from rldistill.errors import SettingError
from rldistill.students.rule_list import fit_rules
from rldistill.students.tree_targets import targets_of


def states() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (4000, 3)).astype(np.float32)


def test_a_list_is_found():
    """If x0 > 0.5: action 2; else if x1 <= -0.2: action 1; else action 0."""
    x = states()
    action = np.where(x[:, 0] > 0.5, 2, np.where(x[:, 1] <= -0.2, 1, 0))
    q = np.eye(3, dtype=np.float32)[action]
    tree = fit_rules(x, targets_of(QValueHead(3), q, weighted=True), 2)
    assert (tree.raw(x).argmax(1) == action).all()
    assert (tree.num_leaves, tree.depth) == (3, 2)


def test_every_inner_node_has_a_leaf_as_a_child():
    x = states()
    tree = fit_rules(x, targets_of(DeterministicHead((-9.0,), (9.0,)), x[:, :1] * 3, True), 7)
    assert tree.num_leaves == 8
    inner = np.flatnonzero(tree.feature >= 0)
    assert all((tree.feature[[tree.left[i], tree.right[i]]] < 0).any() for i in inner)


def test_where_nothing_is_gained_the_list_ends():
    x = states()
    targets = targets_of(QValueHead(2), np.tile(np.float32([1, 0]), (len(x), 1)), True)
    assert fit_rules(x, targets, 5).num_leaves == 1


def test_no_rules_are_refused():
    with pytest.raises(SettingError, match="at least 1 rule, got 0"):
        fit_rules(states(), targets_of(QValueHead(2), np.zeros((4000, 2), np.float32), True), 0)
