"""Ordered rule lists: if x[i] <= t then this; else if x[j] > u then that; ...; else the rest."""

from typing import Any

import numpy as np

from rldistill.errors import SettingError
from rldistill.students.cart import require_states, split
from rldistill.students.tree import LEAF, TreeArrays
from rldistill.students.tree_targets import Targets
from rldistill.students.tree_values import Shape, with_values

Array = np.ndarray[Any, Any]


def fit_rules(observations: Array, targets: Targets, rules: int) -> TreeArrays:
    """An ordered list of rules with one comparison each, and what holds where no rule does.

    Rule by rule the comparison is taken that lowers the impurity of the states left by most, as
    CART would; the rule is the side whose states cost less, and the list goes on with the other.
    So the list is a tree of rules + 1 leaves in which every inner node has a leaf as a child.

    Args:
        observations: float32 [N, O], finite.
        targets: of N states.
        rules: at most so many, at least 1.

    Raises:
        NotFiniteError, ShapeError, MissingExtraError: as fit_cart.
        SettingError: rules is below 1.

    Source: decision lists with one literal a rule (Rivest 1987), grown greedily.
    """
    require_states(observations, targets)
    if rules < 1:
        raise SettingError(f"a rule list needs at least 1 rule, got {rules}")
    left_over = np.arange(len(observations))
    nodes: list[tuple[int, float, bool]] = []  # feature, threshold, whether the rule is on the left
    for _ in range(rules):
        some = targets.rows(left_over, targets.weights[left_over])
        found = split(observations[left_over], some)
        if found is None:
            break
        feature, threshold, rule_is_left = found
        goes_left = observations[left_over, feature] <= threshold
        nodes.append(found)
        left_over = left_over[~goes_left if rule_is_left else goes_left]
    return with_values(_chain(nodes), observations, targets)


def _chain(nodes: list[tuple[int, float, bool]]) -> Shape:
    """Inner node i is node 2 i, its rule node 2 i + 1 and what follows node 2 i + 2."""
    count = 2 * len(nodes) + 1
    feature, left, right = (np.full(count, LEAF, np.int32) for _ in range(3))
    threshold = np.zeros(count, np.float32)
    for i, (column, value, rule_is_left) in enumerate(nodes):
        rule, rest = 2 * i + 1, 2 * i + 2
        feature[2 * i], threshold[2 * i] = column, value
        left[2 * i], right[2 * i] = (rule, rest) if rule_is_left else (rest, rule)
    return Shape(feature, threshold, left, right)
