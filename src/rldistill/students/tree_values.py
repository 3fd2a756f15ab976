"""What the nodes of a grown tree say, and what their states disagree by."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.students.tree import LEAF, TreeArrays
from rldistill.students.tree_targets import Targets

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True)
class Shape:
    """The nodes of a tree without what they say; children come after their parents.

    Attributes:
        feature: int32 [N], -1 at a leaf.
        threshold: float32 [N].
        left: int32 [N].
        right: int32 [N].
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array

    @classmethod
    def single_leaf(cls) -> "Shape":
        """The root alone."""
        none = np.full(1, LEAF, np.int32)
        return cls(none, np.zeros(1, np.float32), none, none)

    def saying(self, values: Array, samples: Array, impurity: Array) -> TreeArrays:
        """The tree of this shape with constant leaves."""
        return TreeArrays(
            feature=self.feature,
            threshold=self.threshold,
            left=self.left,
            right=self.right,
            values=values.astype(np.float32),
            coefficients=None,
            samples=samples,
            impurity=impurity.astype(np.float32),
        )


def with_values(shape: Shape, observations: Array, targets: Targets) -> TreeArrays:
    """The tree of this shape whose nodes say what their states do.

    samples * impurity is the weighted impurity of a node's states, summed: the Gini index of
    classes, or the squared error of continuous actions in half ranges, summed over dimensions.

    Args:
        shape: the nodes.
        observations: float32 [N, O].
        targets: of these states, of mean weight 1.
    """
    n, count = len(shape.feature), targets.num_actions
    empty = shape.saying(np.zeros((n, 1)), np.ones(n, np.int64), np.zeros(n))
    leaves = empty.leaf_of(observations)
    samples = _up(shape, np.bincount(leaves, minlength=n)[:, None].astype(np.float64))[:, 0]
    weight = _sums(shape, leaves, targets.weights[:, None])[:, 0]
    told = targets.columns if targets.columns is not None else targets.errors_of
    means = _sums(shape, leaves, told * targets.weights[:, None]) / weight[:, None].clip(1e-300)
    squares = _sums(shape, leaves, told[:, :count] ** 2 * targets.weights[:, None])
    cost = (squares - weight[:, None] * means[:, :count] ** 2).sum(1).clip(0.0)
    if targets.classes is None:
        values = targets.to_raw(means)
    else:
        values = np.log((means * samples[:, None] + 1.0 / count) / (samples[:, None] + 1.0))
    return shape.saying(values, samples.astype(np.int64), cost / samples.clip(1.0))


def _sums(shape: Shape, leaves: Array, columns: Array) -> Array:
    """Sums of columns [N, C] over the states of each node [nodes, C]."""
    n = len(shape.feature)
    per_leaf = [np.bincount(leaves, column, minlength=n) for column in columns.T]
    return _up(shape, np.stack(per_leaf, 1))


def _up(shape: Shape, sums: Array) -> Array:
    """Sums of leaves carried up to the nodes above them."""
    for node in np.flatnonzero(shape.feature != LEAF)[::-1]:
        sums[node] = sums[shape.left[node]] + sums[shape.right[node]]
    return sums
