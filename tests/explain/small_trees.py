"""Random small trees as policies, for the tests of explanations."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from rldistill.core import CategoricalHead, GaussianHead, Head, NetworkPolicy, PolicyInfo
from rldistill.explain.subject import policy_of_tree
from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]
NUM_FEATURES = 3
# Thresholds and corners of boxes come from one short list, so that they often coincide.
GRID = (-1.0, -0.5, -0.1, 0.0, 0.1, 0.3, 0.5, 1.0)


def random_tree(
    generator: np.random.Generator, leaves: int, outputs: int, *, linear: bool = False
) -> TreeArrays:
    """A tree grown by splitting random leaves at thresholds of the grid."""
    feature, threshold, left, right = [LEAF], [0.0], [-1], [-1]
    for _ in range(leaves - 1):
        open_leaves = [node for node, one in enumerate(feature) if one == LEAF]
        node = int(generator.choice(open_leaves))
        feature[node] = int(generator.integers(NUM_FEATURES))
        threshold[node] = float(generator.choice(GRID))
        left[node], right[node] = len(feature), len(feature) + 1
        for column, value in ((feature, LEAF), (threshold, 0.0), (left, -1), (right, -1)):
            column.extend([value, value])
    size = len(feature)
    return TreeArrays(
        feature=np.array(feature, np.int32),
        threshold=np.array(threshold, np.float32),
        left=np.array(left, np.int32),
        right=np.array(right, np.int32),
        values=generator.standard_normal((size, outputs)).astype(np.float32),
        coefficients=generator.standard_normal((size, outputs, NUM_FEATURES)).astype(np.float32)
        if linear
        else None,
        samples=np.ones(size, np.int64),
        impurity=np.zeros(size, np.float32),
    )


def policy_of(tree: TreeArrays, head: Head) -> NetworkPolicy:
    """The tree as a policy."""
    info = PolicyInfo(
        name="by hand", framework="tests", observation_shape=(NUM_FEATURES,),
        head=head, acting_parameters=0, parameters=0,
    )  # fmt: skip
    return policy_of_tree(tree, info)


def discrete(seed: int, leaves: int, *, linear: bool = False, actions: int = 3) -> NetworkPolicy:
    tree = random_tree(np.random.default_rng(seed), leaves, actions, linear=linear)
    return policy_of(tree, CategoricalHead(actions))


def continuous(seed: int, leaves: int, *, linear: bool = False) -> NetworkPolicy:
    """Two action dimensions, clipped to [-1, 1]."""
    tree = random_tree(np.random.default_rng(seed), leaves, 4, linear=linear)
    return policy_of(tree, GaussianHead((-1.0, -1.0), (1.0, 1.0)))


seeds = st.integers(0, 2**32 - 1)


def dense_points(low: Array, high: Array, num_random: int = 400, seed: int = 0) -> Array:
    """Observations of a box [K, O]: all corners of the grid cells in it, beside them, and random.

    float32; every combination of feature values that a tree on the grid can tell apart.
    """
    columns: list[Array] = []
    for a, b in zip(low, high, strict=True):
        marks = np.array([*GRID, a, b], np.float32)
        near = np.concatenate(
            [marks, np.nextafter(marks, np.float32(9)), np.nextafter(marks, np.float32(-9)),
             np.float32([-5.0, 5.0])]
        )  # fmt: skip
        columns.append(np.unique(near[(near >= a) & (near <= b)]))
    grid = np.stack(np.meshgrid(*columns, indexing="ij"), -1).reshape(-1, len(low))
    generator = np.random.default_rng(seed)
    lows, highs = np.maximum(low, -5.0), np.minimum(high, 5.0)
    drawn = generator.uniform(lows, highs, (num_random, len(low))).astype(np.float32)
    return np.concatenate([grid.astype(np.float32), np.clip(drawn, low, high)])


def stump() -> NetworkPolicy:
    """Follow-v0 by the first number alone: right in three of four states. One leaf is redundant."""
    tree = TreeArrays(
        feature=np.array([0, -1, 0, -1, -1], np.int32),
        threshold=np.array([0.0, 0, 0.5, 0, 0], np.float32),
        left=np.array([1, -1, 3, -1, -1], np.int32),
        right=np.array([2, -1, 4, -1, -1], np.int32),
        values=np.array([[0, 0], [1, 0], [0, 1], [0, 1], [0, 2]], np.float32),
        coefficients=None,
        samples=np.ones(5, np.int64),
        impurity=np.zeros(5, np.float32),
    )
    info = PolicyInfo(name="x", framework="tests", observation_shape=(2,), head=CategoricalHead(2),
                      acting_parameters=0, parameters=0)  # fmt: skip
    return policy_of_tree(tree, info)
