"""Merging leaves of one action changes nothing that can be seen from outside."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_trees import dense_points, random_tree, seeds

from rldistill.core import CategoricalHead, GaussianHead
from rldistill.explain.simplify import simplified
from rldistill.students.tree import LEAF

POINTS = dense_points(np.full(3, -5, np.float32), np.full(3, 5, np.float32), 50)


@settings(max_examples=50)
@given(seed=seeds, leaves=st.integers(1, 14))
def test_actions_stay_and_no_neighbours_agree(seed: int, leaves: int) -> None:
    tree = random_tree(np.random.default_rng(seed), leaves, 2)
    small, merged = simplified(tree, CategoricalHead(2))
    assert np.array_equal(small.raw(POINTS).argmax(1), tree.raw(POINTS).argmax(1))
    actions = small.values.argmax(1)
    for node in np.flatnonzero(small.feature != LEAF).tolist():
        children = int(small.left[node]), int(small.right[node])
        if all(small.feature[child] == LEAF for child in children):
            assert actions[children[0]] != actions[children[1]]
    # Every old leaf went into the new one that its observations reach.
    place = dict(zip(np.flatnonzero(small.feature == LEAF).tolist(), merged, strict=True))
    assert (
        sorted(leaf for old in merged for leaf in old)
        == np.flatnonzero(tree.feature == LEAF).tolist()
    )
    for old, new in zip(tree.leaf_of(POINTS).tolist(), small.leaf_of(POINTS).tolist(), strict=True):
        assert old in place[new]


def test_continuous_and_linear_trees_stay() -> None:
    head = GaussianHead((-1.0,), (1.0,))
    tree = random_tree(np.random.default_rng(0), 6, 2)
    tree.values[:] = 0
    assert simplified(tree, head)[0].num_leaves == 6
    linear = random_tree(np.random.default_rng(0), 6, 2, linear=True)
    linear.values[:] = 0
    assert simplified(linear, CategoricalHead(2))[0].num_leaves == 6
