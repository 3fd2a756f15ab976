"""The rules of a tree in words: "x velocity <= -0.12 m/s and angle > 0.1 rad -> fire engine"."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from rldistill.core import CategoricalHead, Head, QValueHead
from rldistill.envs.naming import Feature, TaskNames
from rldistill.explain.actions import action_words, is_discrete
from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]
FEWEST_DIGITS, MOST_DIGITS = 2, 9
# Terms of a linear leaf that are written out.
MOST_TERMS = 6


@final
@dataclass(frozen=True, slots=True)
class Bound:
    """low < x[feature] <= high, as numbers that are short to read; None where there is no bound."""

    feature: int
    low: str | None
    high: str | None

    def holds(self, observations: Array) -> Array:
        """Which observations [N, O] fulfil it, compared in float32: bool [N]."""
        x = observations[:, self.feature]
        fulfilled = np.ones(len(x), bool)
        if self.low is not None:
            fulfilled &= x > np.float32(self.low)
        if self.high is not None:
            fulfilled &= x <= np.float32(self.high)
        return fulfilled

    def words(self, feature: Feature) -> str:
        """In words, with the unit.

        >>> Bound(0, None, "-0.12").words(Feature("x velocity", "m/s"))
        'x velocity <= -0.12 m/s'
        >>> Bound(0, "0.1", "0.3").words(Feature("angle", "rad"))
        '0.1 < angle <= 0.3 rad'
        """
        unit = f" {feature.unit}" if feature.unit else ""
        if self.low is None:
            return f"{feature.name} <= {self.high}{unit}"
        if self.high is None:
            return f"{feature.name} > {self.low}{unit}"
        return f"{self.low} < {feature.name} <= {self.high}{unit}"


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """The way to one leaf, redundant bounds merged, and what is done there.

    Attributes:
        leaf: its node number.
        bounds: in the order in which the tree asks; empty for a tree of one leaf.
        action: in words.
    """

    leaf: int
    bounds: tuple[Bound, ...]
    action: str

    def holds(self, observations: Array) -> Array:
        """Which observations [N, O] it speaks of: bool [N]."""
        fulfilled = np.ones(len(observations), bool)
        for bound in self.bounds:
            fulfilled &= bound.holds(observations)
        return fulfilled

    def words(self, names: TaskNames) -> str:
        """The rule on one line."""
        conditions = [bound.words(names.features[bound.feature]) for bound in self.bounds]
        return f"{' and '.join(conditions) or 'always'} -> {self.action}"


def rules_of(
    tree: TreeArrays, head: Head, names: TaskNames, observations: Array
) -> tuple[Rule, ...]:
    """One rule for each leaf, from left to right.

    Args:
        tree: whose.
        head: what its values mean.
        names: of features and actions.
        observations: [N, O] states: numbers are rounded as far as no decision about any of these
            changes; with none they are exact.
    """
    numbers = short_thresholds(tree, observations)
    found: list[Rule] = []
    waiting: list[tuple[int, tuple[Bound, ...]]] = [(0, ())]
    while waiting:
        node, bounds = waiting.pop()
        feature = int(tree.feature[node])
        if feature == LEAF:
            found.append(Rule(node, bounds, leaf_words(tree, node, head, names)))
            continue
        word = numbers[node]
        waiting.append((int(tree.right[node]), _narrowed(bounds, feature, word, None)))
        waiting.append((int(tree.left[node]), _narrowed(bounds, feature, None, word)))
    return tuple(found)


def short_thresholds(tree: TreeArrays, observations: Array) -> dict[int, str]:
    """The shortest rounding of each threshold that decides alike about all observations [N, O].

    Two thresholds on one feature that differ keep different numbers, in their order.
    """
    numbers: dict[int, str] = {}
    for feature in np.unique(tree.feature[tree.feature != LEAF]).tolist():
        nodes = np.flatnonzero(tree.feature == feature)
        others = np.unique(tree.threshold[nodes])
        column = np.sort(observations[:, feature].astype(np.float32))
        for node in nodes.tolist():
            numbers[node] = _short(tree.threshold[node], column, others)
    return numbers


def _short(threshold: np.float32, column: Array, others: Array) -> str:
    place = int(np.searchsorted(column, threshold, side="right"))
    # Between the values seen on both sides, and no further than half way to the next threshold.
    low = column[place - 1] if place else -np.inf
    high = column[place] if place < len(column) else np.inf
    index = int(np.searchsorted(others, threshold))
    if index:
        low = max(low, others[index - 1] / 2 + threshold / 2)
    if index + 1 < len(others):
        high = min(high, threshold / 2 + others[index + 1] / 2)
    for digits in range(FEWEST_DIGITS, MOST_DIGITS) if len(column) else ():
        rounded = float(f"{threshold:.{digits}g}")
        if low <= np.float32(rounded) < high:
            return _plain(rounded)
    return _plain(threshold)


def _plain(number: float | np.float32) -> str:
    """The shortest digits of a number, without an exponent where it is of ordinary size.

    >>> _plain(120.0), _plain(np.float32(-0.1)), _plain(1e-9)
    ('120', '-0.1', '1e-09')
    """
    if number == 0.0:
        return "0"
    if 1e-5 < abs(number) < 1e7:
        return str(np.format_float_positional(number, unique=True, trim="-"))
    return str(np.format_float_scientific(number, unique=True, trim="-"))


def _narrowed(
    bounds: tuple[Bound, ...], feature: int, low: str | None, high: str | None
) -> tuple[Bound, ...]:
    """The bounds with one more, merged with what was said of that feature before."""
    old = next((bound for bound in bounds if bound.feature == feature), None)
    if old is None:
        return (*bounds, Bound(feature, low, high))
    lows = [word for word in (old.low, low) if word is not None]
    highs = [word for word in (old.high, high) if word is not None]
    new = Bound(feature, max(lows, key=float, default=None), min(highs, key=float, default=None))
    return tuple(new if bound is old else bound for bound in bounds)


def leaf_words(tree: TreeArrays, node: int, head: Head, names: TaskNames) -> str:
    """What a leaf does, in words."""
    if tree.coefficients is None:
        with torch.no_grad():
            action = head(torch.from_numpy(tree.values[node])).mode().numpy()
        return action_words(names, clipped(head, action))
    formulas = [
        f"{name} = {_formula(tree.values[node, k], tree.coefficients[node, k], names)}"
        for k, name in enumerate(names.actions)
    ]
    kind = "the largest of " if is_discrete(head) else ""
    return kind + ", ".join(formulas)


def clipped(head: Head, action: Array) -> Array:
    """An action within the bounds of its head, as `predict` gives it."""
    if isinstance(head, (CategoricalHead, QValueHead)):
        return action
    return np.clip(action, np.array(head.low, np.float32), np.array(head.high, np.float32))


def _formula(constant: float, slopes: Array, names: TaskNames) -> str:
    order = np.argsort(-np.abs(slopes), kind="stable")
    terms = [index for index in order.tolist() if slopes[index] != 0.0]
    words = f"{constant:.3g}"
    for index in terms[:MOST_TERMS]:
        sign = "+" if slopes[index] > 0 else "-"
        words += f" {sign} {abs(slopes[index]):.3g} * {names.features[index].name}"
    return words + (f" + {len(terms) - MOST_TERMS} more" if len(terms) > MOST_TERMS else "")
