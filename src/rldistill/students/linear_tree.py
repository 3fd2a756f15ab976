"""Trees with linear models in their leaves (linear model U-trees, Liu et al. 2018)."""

import heapq
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.errors import SettingError
from rldistill.students.cart import fit_cart, require_states
from rldistill.students.leaf_models import fit_leaf
from rldistill.students.linear_split import LinearSplit, best_split
from rldistill.students.tree import LEAF, TreeArrays
from rldistill.students.tree_targets import Targets
from rldistill.students.tree_values import Shape, with_values

Array = np.ndarray[Any, Any]
# Splits are chosen by the error of linear models up to so many inputs: the cost grows with the
# cube. Beyond, the tree is CART's, with linear models fitted in its leaves.
MOST_SPLIT_INPUTS = 32


def fit_linear_tree(observations: Array, targets: Targets, leaves: int) -> TreeArrays:
    """A tree grown best first by the squared error of linear models, with such models in leaves.

    A candidate split of a node is judged by the weighted least squares error of one linear model
    per side, at 16 quantiles of each feature, on at most 20,000 of the node's states (every k-th).
    What a leaf says in the end: for continuous actions a least squares model, for classes a
    softmax regression (both lightly ridged). With more than 32 inputs the splits are CART's.

    Args:
        observations: float32 [N, O], finite.
        targets: of N states.
        leaves: at most so many, at least 1.

    Raises:
        NotFiniteError, ShapeError, MissingExtraError: as fit_cart.
        SettingError: leaves is below 1.

    Source: Liu et al. 2018 (arXiv:1807.05887), section 4, with quantiles for candidates.
    """
    require_states(observations, targets)
    if leaves < 1:
        raise SettingError(f"a tree needs at least 1 leaf, got {leaves}")
    scale = _Scale.of(observations)
    if observations.shape[1] > MOST_SPLIT_INPUTS:
        plain = fit_cart(observations, targets, leaves)
        shape = Shape(plain.feature, plain.threshold, plain.left, plain.right)
    else:
        shape = _grow(observations, scale(observations), targets, leaves)
        plain = with_values(shape, observations, targets)
    reached = plain.leaf_of(observations)
    outputs, width = plain.num_outputs, observations.shape[1]
    values = plain.values.astype(np.float64)
    coefficients = np.zeros((plain.num_nodes, outputs, width))
    impurity = plain.impurity.copy()
    for leaf in np.flatnonzero(shape.feature == LEAF):
        rows = np.flatnonzero(reached == leaf)
        if len(rows) == 0:
            continue
        some = targets.rows(rows, targets.weights[rows])
        model = fit_leaf(scale(observations[rows]), some)
        coefficients[leaf] = model[:, 1:] / scale.deviation
        values[leaf] = model[:, 0] - coefficients[leaf] @ scale.mean
    return TreeArrays(
        feature=shape.feature,
        threshold=shape.threshold,
        left=shape.left,
        right=shape.right,
        values=values.astype(np.float32),
        coefficients=coefficients.astype(np.float32),
        samples=plain.samples,
        impurity=impurity,
    )


@final
@dataclass(frozen=True, slots=True)
class _Scale:
    """Standardises inputs, so that a small ridge means the same for each; a constant becomes 0."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, observations: Array) -> "_Scale":
        x = observations.astype(np.float64)
        deviation = x.std(0)
        constant = deviation <= 1e-6 * np.abs(x).max(0).clip(1.0)
        return cls(x.mean(0), np.where(constant, np.inf, deviation))

    def __call__(self, observations: Array) -> Array:
        return (observations - self.mean) / self.deviation


def _grow(x: Array, z: Array, targets: Targets, leaves: int) -> Shape:
    """Best first: always the leaf whose split lowers the error by most."""
    told = targets.errors_of.astype(np.float64)
    nodes = [_Node(np.arange(len(x)))]
    frontier: list[tuple[float, int, LinearSplit]] = []

    def consider(node: int) -> None:
        rows = nodes[node].rows
        found = best_split(x[rows], z[rows], told[rows], targets.weights[rows])
        if found is not None:
            heapq.heappush(frontier, (-found.gain, node, found))

    consider(0)
    for _ in range(leaves - 1):
        if not frontier:
            break
        _, node, found = heapq.heappop(frontier)
        rows = nodes[node].rows
        goes_left = x[rows, found.feature] <= found.threshold
        nodes[node] = _Node(rows, found, len(nodes))
        nodes += [_Node(rows[goes_left]), _Node(rows[~goes_left])]
        consider(len(nodes) - 2)
        consider(len(nodes) - 1)
    return Shape(
        np.array([LEAF if n.split is None else n.split.feature for n in nodes], np.int32),
        np.array([0.0 if n.split is None else n.split.threshold for n in nodes], np.float32),
        np.array([LEAF if n.split is None else n.left for n in nodes], np.int32),
        np.array([LEAF if n.split is None else n.left + 1 for n in nodes], np.int32),
    )


@final
@dataclass(frozen=True, slots=True)
class _Node:
    """A node while the tree grows: its states, and how and into what it was split."""

    rows: Array
    split: LinearSplit | None = None
    left: int = LEAF
