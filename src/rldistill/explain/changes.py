"""Counterfactuals of states that were played."""

from typing import Any

import numpy as np

from rldistill.core import NetworkPolicy
from rldistill.explain.actions import acts
from rldistill.explain.boxes import LARGEST, Box, leaf_boxes
from rldistill.explain.counterfactuals import Counterfactual, exact_changes, searched_changes
from rldistill.explain.explanation import Changes
from rldistill.explain.played import Played
from rldistill.students.tree import TreeArrays

Array = np.ndarray[Any, Any]
# States looked at, of a tree and by search; states that the search starts from; examples told.
EXACT_STATES, SEARCHED_STATES, POOL, EXAMPLES = 500, 60, 2000, 8
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def changes_of(
    policy: NetworkPolicy, tree: TreeArrays | None, played: Played, space: tuple[Array, Array]
) -> Changes:
    """The smallest changes of states spread evenly over those played.

    Args:
        policy: who acts.
        tree: its arrays, where it is a tree.
        played: states, which also say how much each feature varies.
        space: lowest and highest values that the task declares; nothing is changed beyond them.
    """
    head = policy.info.head
    scale = played.observations.astype(np.float64).std(0)
    exact = tree is not None and tree.coefficients is None
    rows = _spread(len(played.observations), EXACT_STATES if exact else SEARCHED_STATES)
    states = played.observations[rows]
    if tree is not None and exact:
        low, high = (np.clip(bound, -LARGEST, LARGEST) for bound in space)
        # What was seen is possible, whatever was declared.
        seen = played.observations.min(0), played.observations.max(0)
        whole = Box(np.minimum(low, seen[0]), np.maximum(high, seen[1]))
        boxes = leaf_boxes(tree, states.shape[1]).within(whole)
        points = np.clip(np.zeros_like(boxes.low), boxes.low, boxes.high)
        apart, changed = exact_changes(boxes, acts(policy, points), states, (head, scale))
    else:
        known = _spread(len(played.observations), POOL)
        pool = played.observations[known], played.actions[known]
        apart, changed = searched_changes(
            lambda x: acts(policy, x), pool, states, (head, scale), is_board(played.observations)
        )
    quantiles = np.quantile(apart, QUANTILES, method="inverted_cdf")
    before, after = acts(policy, states), acts(policy, changed)
    examples = tuple(
        Counterfactual(states[i], before[i], changed[i], after[i], float(apart[i]), exact)
        for i in _examples(apart, before)
    )
    return Changes(
        exact=exact,
        states=len(states),
        quantiles=tuple(float(one) for one in quantiles),
        examples=examples,
    )


def is_board(observations: Array) -> bool:
    """Whether features are there or not, as in MinAtar: 0 or 1, and nothing between.

    >>> is_board(np.array([[0.0, 1.0]])), is_board(np.array([[0.0, 0.5]]))
    (True, False)
    """
    return bool(((observations == 0) | (observations == 1)).all())


def _spread(count: int, most: int) -> Array:
    """At most so many rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _examples(apart: Array, actions: Array) -> list[int]:
    """One state of median distance for each action, the commonest first; more where there are few.

    Continuous actions: states evenly spread over the distances.
    """
    finite = np.flatnonzero(np.isfinite(apart))
    if len(finite) == 0:
        return []
    order = finite[np.argsort(apart[finite], kind="stable")]
    if actions.ndim > 1:
        return order[_spread(len(order), EXAMPLES)].tolist()
    kinds, counts = np.unique(actions[finite], return_counts=True)
    each = max(1, EXAMPLES // len(kinds))
    chosen: list[int] = []
    for kind in kinds[np.argsort(-counts, kind="stable")][:EXAMPLES].tolist():
        mine = order[actions[order] == kind]
        middle = (np.arange(each) + 0.5) / each * len(mine)
        chosen += mine[np.unique(middle.astype(np.int64))].tolist()
    return chosen
