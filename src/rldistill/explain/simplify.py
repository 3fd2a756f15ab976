"""A tree with what no observation can tell apart taken out of it."""

from typing import Any

import numpy as np
import torch

from rldistill.core import Head
from rldistill.explain.actions import is_discrete
from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]


def simplified(tree: TreeArrays, head: Head) -> tuple[TreeArrays, tuple[tuple[int, ...], ...]]:
    """The tree in which a node becomes a leaf where all leaves below it take the same action.

    CART goes on splitting where shares differ and the likeliest action does not. Acting by mode,
    both trees do the same everywhere. Trees of continuous actions and of linear leaves stay.

    Returns:
        The tree, and for each of its leaves, in the order of their numbers, the leaves of the old
        one that went into it.
    """
    below = _leaves_below(tree)
    action = _actions(tree, head)
    merged = np.zeros(tree.num_nodes, bool)
    for node in range(tree.num_nodes):
        merged[node] = len({action[leaf] for leaf in below[node]}) == 1
    kept = _kept(tree, merged)
    number = {node: index for index, node in enumerate(kept)}
    inner = np.array([not merged[node] and tree.feature[node] != LEAF for node in kept])
    # A merged leaf must say what its leaves say, and the node's own mixture need not.
    source = np.array([below[node][0] if merged[node] else node for node in kept])
    nodes = np.array(kept)

    def child(of: Array) -> Array:
        return np.array(
            [number[int(of[node])] if keep else -1 for node, keep in zip(kept, inner, strict=True)],
            np.int32,
        )

    small = TreeArrays(
        feature=np.where(inner, tree.feature[nodes], LEAF).astype(np.int32),
        threshold=np.where(inner, tree.threshold[nodes], 0).astype(np.float32),
        left=child(tree.left),
        right=child(tree.right),
        values=tree.values[source],
        coefficients=None if tree.coefficients is None else tree.coefficients[source],
        samples=tree.samples[nodes],
        impurity=tree.impurity[nodes],
    )
    return small, tuple(
        tuple(below[node]) for node, keep in zip(kept, inner, strict=True) if not keep
    )


def _leaves_below(tree: TreeArrays) -> list[list[int]]:
    below: list[list[int]] = [[] for _ in range(tree.num_nodes)]
    for node in reversed(range(tree.num_nodes)):
        if tree.feature[node] == LEAF:
            below[node] = [node]
        else:
            below[node] = below[int(tree.left[node])] + below[int(tree.right[node])]
    return below


def _actions(tree: TreeArrays, head: Head) -> list[int]:
    """What each leaf does; leaves that must stay apart have numbers of their own."""
    if tree.coefficients is not None or not is_discrete(head):
        return list(range(tree.num_nodes))
    with torch.no_grad():
        return head(torch.from_numpy(tree.values)).mode().tolist()


def _kept(tree: TreeArrays, merged: Array) -> list[int]:
    """The nodes that stay, parents before their children."""
    kept, waiting = list[int](), [0]
    while waiting:
        node = waiting.pop(0)
        kept.append(node)
        if not merged[node] and tree.feature[node] != LEAF:
            waiting += [int(tree.left[node]), int(tree.right[node])]
    return kept
