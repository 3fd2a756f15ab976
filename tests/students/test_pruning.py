"""Pruning: the sequence of CART, and what it must be."""

from itertools import pairwise

import numpy as np
import pytest

from rldistill.core import QValueHead
from rldistill.errors import SettingError
from rldistill.students.cart import fit_cart
from rldistill.students.linear_tree import fit_linear_tree
from rldistill.students.pruning import prune, pruning_curve
from rldistill.students.tree import LEAF, TreeArrays
from rldistill.students.tree_targets import targets_of


def problem(weighted: bool = False) -> tuple:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2000, 4)).astype(np.float32)
    q = np.sin(2 * x @ generator.standard_normal((4, 3))).astype(np.float32)
    return x, targets_of(QValueHead(3), q, weighted)


def cost(tree: TreeArrays) -> float:
    return float((tree.samples * tree.impurity)[tree.feature == LEAF].sum() / tree.samples[0])


def test_the_sequence_is_that_of_scikit_learn():
    trees = pytest.importorskip("sklearn.tree")
    x, targets = problem()
    model = trees.DecisionTreeClassifier(max_leaf_nodes=40, random_state=0)
    path = model.cost_complexity_pruning_path(x, targets.classes)
    curve = pruning_curve(fit_cart(x, targets, 40))
    own = np.array([step.alpha for step in curve])
    np.testing.assert_allclose(own, np.unique(path.ccp_alphas), atol=1e-6)
    np.testing.assert_allclose([step.cost for step in curve], path.impurities, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_trees_shrink_and_cost_more(weighted):
    x, targets = problem(weighted)
    curve = pruning_curve(fit_cart(x, targets, 40))
    leaves = [step.leaves for step in curve]
    assert (leaves[0], leaves[-1]) == (40, 1)
    assert all(a > b for a, b in pairwise(leaves))
    assert all(a.cost <= b.cost for a, b in pairwise(curve))
    assert all(a.alpha <= b.alpha for a, b in pairwise(curve))
    assert all(step.tree.num_leaves == step.leaves for step in curve)
    assert all(step.cost == pytest.approx(cost(step.tree), abs=1e-6) for step in curve)


def test_a_pruned_tree_says_in_its_leaves_what_the_nodes_said():
    x, targets = problem()
    tree = fit_cart(x, targets, 40)
    small = prune(tree, 5)
    assert small.num_leaves <= 5
    rows = {tuple(row) for row in small.raw(x)}
    assert rows <= {tuple(row) for row in tree.values}
    assert prune(tree, 100) is tree
    assert prune(tree, 1).num_leaves == 1


def test_what_cannot_be_pruned_is_refused():
    x, targets = problem()
    with pytest.raises(SettingError, match="cannot be pruned"):
        pruning_curve(fit_linear_tree(x, targets, 3))
    with pytest.raises(SettingError, match="at least 1 leaf"):
        prune(fit_cart(x, targets, 3), 0)
