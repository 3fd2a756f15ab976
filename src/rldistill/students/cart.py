"""CART trees by scikit-learn, as TreeArrays; the only file that imports scikit-learn."""

from typing import Any

import numpy as np

from rldistill.errors import NotFiniteError, SettingError, ShapeError, require
from rldistill.students.tree import LEAF, TreeArrays
from rldistill.students.tree_targets import Targets
from rldistill.students.tree_values import Shape, with_values

Array = np.ndarray[Any, Any]


def fit_cart(observations: Array, targets: Targets, leaves: int) -> TreeArrays:
    """The tree that CART grows best first, always the split that lowers the impurity most.

    Impurities are the Gini index of the teacher's actions, or the squared error of continuous
    actions in half ranges, summed over dimensions; each state counts with its weight. At a node
    of n states an action that takes the share f of their weight has the log-probability
    log((f n + 1/A) / (n + 1)); continuous nodes have the weighted mean of actions (of squashed
    ones: the mean of the action, not of what goes into the tanh) and of log deviations.

    Args:
        observations: float32 [N, O], finite.
        targets: of N states.
        leaves: at most so many, at least 1.

    Raises:
        NotFiniteError: an observation is NaN or infinite.
        ShapeError: no states, or observations that are not flat.
        SettingError: leaves is below 1.
        MissingExtraError: scikit-learn is not installed.

    Source: Breiman et al. 1984 (CART); scikit-learn's best-first growth.

    >>> from rldistill.core import QValueHead
    >>> from rldistill.students.tree_targets import targets_of
    >>> x = np.array([[0.0], [1.0], [2.0]], np.float32)
    >>> q = np.array([[1, 0], [1, 0], [0, 9]], np.float32)
    >>> fit_cart(x, targets_of(QValueHead(2), q, weighted=True), leaves=2).threshold[0]
    np.float32(1.5)
    """
    require_states(observations, targets)
    if leaves < 1:
        raise SettingError(f"a tree needs at least 1 leaf, got {leaves}")
    shape = _grow(observations, targets, leaves)
    return with_values(shape, observations, targets)


def require_states(observations: Array, targets: Targets) -> None:
    """Check what a tree is fitted to.

    Raises:
        NotFiniteError, ShapeError: see fit_cart.
    """
    if observations.ndim != 2 or len(observations) != len(targets) or 0 in observations.shape:
        raise ShapeError(
            f"a tree is fitted to at least one flat observation [N, O]; got "
            f"{list(observations.shape)} and {len(targets)} labels"
        )
    wrong = ~np.isfinite(observations)
    if wrong.any():
        column = int(wrong.any(0).argmax())
        raise NotFiniteError(
            f"a tree cannot be fitted: feature {column} of {int(wrong[:, column].sum()):,} "
            f"observations is NaN or infinite; clip the observations of the task first (--wrapper)"
        )


def _grow(observations: Array, targets: Targets, leaves: int) -> Shape:
    if leaves == 1:
        return Shape.single_leaf()
    trees = require("sklearn.tree", extra="trees")
    settings = {"max_leaf_nodes": leaves, "random_state": 0}
    if targets.classes is not None:
        model = trees.DecisionTreeClassifier(**settings)
        answers = targets.classes
    else:
        model = trees.DecisionTreeRegressor(**settings)
        answers = targets.errors_of
    model.fit(observations, answers, sample_weight=targets.weights)
    grown = model.tree_
    feature = np.where(grown.children_left < 0, LEAF, grown.feature).astype(np.int32)
    return Shape(
        feature,
        np.where(feature == LEAF, np.float32(0.0), below(grown.threshold)),
        grown.children_left.astype(np.int32),
        grown.children_right.astype(np.int32),
    )


def below(thresholds: Array) -> Array:
    """The largest float32 that is not above each float64 threshold.

    For every float32 x, x <= threshold exactly where x <= below(threshold): so a tree that was
    grown with float64 thresholds decides alike in float32, in numpy, torch and C.

    >>> float(below(np.array([0.1]))[0]) <= 0.1 < float(np.float32(0.1))
    True
    """
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    down = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded.astype(np.float64) > thresholds, down, rounded)


def split(observations: Array, targets: Targets) -> tuple[int, float, bool] | None:
    """The one split that lowers the impurity most: feature, threshold, whether the left costs less.

    None where no split lowers it.
    """
    stump = with_values(_grow(observations, targets, 2), observations, targets)
    if stump.num_leaves == 1:
        return None
    cost = stump.samples * stump.impurity
    left, right = (float(cost[side[0]]) for side in (stump.left, stump.right))
    return int(stump.feature[0]), float(stump.threshold[0]), left <= right
