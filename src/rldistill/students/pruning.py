"""Cost-complexity pruning: from a tree the best of its smaller ones, one after the other."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.errors import SettingError
from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True)
class Pruned:
    """One tree of the sequence.

    Attributes:
        alpha: from this price of a leaf on, this tree is the best of the sequence.
        leaves: how many it has.
        cost: mean weighted impurity of the training states in their leaves.
        tree: itself.
    """

    alpha: float
    leaves: int
    cost: float
    tree: TreeArrays


def pruning_curve(tree: TreeArrays) -> tuple[Pruned, ...]:
    """The trees that weakest-link pruning goes through, the whole tree first, a single leaf last.

    Each step makes leaves of the inner nodes whose collapse raises the cost least per leaf saved.

    Raises:
        SettingError: its leaves hold linear models, and a node in their place has none.

    Source: Breiman et al. 1984 (CART), section 3.3.
    """
    if tree.coefficients is not None:
        raise SettingError(
            "a tree with linear models in its leaves cannot be pruned; grow one with fewer leaves"
        )
    costs = tree.samples * tree.impurity.astype(np.float64) / max(int(tree.samples[0]), 1)
    current, kept = tree, np.arange(tree.num_nodes)
    sequence = [Pruned(0.0, tree.num_leaves, _cost(current, costs), tree)]
    while current.num_leaves > 1:
        own = costs[kept]
        below, leaves = _below(current, own)
        inner = np.flatnonzero(current.feature != LEAF)
        links = (own[inner] - below[inner]) / (leaves[inner] - 1)
        weakest = links.min()
        cut = inner[links <= weakest + 1e-12]
        current, index = _collapsed(current, cut)
        kept = kept[index]
        alpha = max(float(weakest), sequence[-1].alpha)
        sequence.append(Pruned(alpha, current.num_leaves, _cost(current, costs[kept]), current))
    return tuple(sequence)


def prune(tree: TreeArrays, leaves: int) -> TreeArrays:
    """The largest tree of the pruning curve with at most so many leaves.

    Raises:
        SettingError: leaves is below 1, or the leaves of the tree hold linear models.
    """
    if leaves < 1:
        raise SettingError(f"a tree needs at least 1 leaf, got {leaves}")
    return next(step.tree for step in pruning_curve(tree) if step.leaves <= leaves)


def _cost(tree: TreeArrays, costs: Array) -> float:
    return float(costs[tree.feature == LEAF].sum())


def _below(tree: TreeArrays, costs: Array) -> tuple[Array, Array]:
    """Summed cost and number of the leaves under each node."""
    below, leaves = costs.copy(), np.ones(tree.num_nodes)
    for node in np.flatnonzero(tree.feature != LEAF)[::-1]:
        left, right = tree.left[node], tree.right[node]
        below[node], leaves[node] = below[left] + below[right], leaves[left] + leaves[right]
    return below, leaves


def _collapsed(tree: TreeArrays, cut: Array) -> tuple[TreeArrays, Array]:
    """The tree with these nodes as leaves, and which of the old nodes are its nodes."""
    is_cut = np.zeros(tree.num_nodes, bool)
    is_cut[cut] = True
    alive = np.zeros(tree.num_nodes, bool)
    alive[0] = True
    for node in np.flatnonzero(tree.feature != LEAF):
        if alive[node] and not is_cut[node]:
            alive[tree.left[node]] = alive[tree.right[node]] = True
    index = np.flatnonzero(alive)
    place = np.full(tree.num_nodes + 1, LEAF, np.int32)  # the last entry is for "no child"
    place[index] = np.arange(len(index), dtype=np.int32)
    leaf = (is_cut | (tree.feature == LEAF))[index]
    pruned = TreeArrays(
        feature=np.where(leaf, LEAF, tree.feature[index]).astype(np.int32),
        threshold=np.where(leaf, 0.0, tree.threshold[index]).astype(np.float32),
        left=np.where(leaf, LEAF, place[tree.left[index]]).astype(np.int32),
        right=np.where(leaf, LEAF, place[tree.right[index]]).astype(np.int32),
        values=tree.values[index],
        coefficients=None,
        samples=tree.samples[index],
        impurity=tree.impurity[index],
    )
    return pruned, index
