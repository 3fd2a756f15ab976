"""Boxes of observations: closed intervals of float32 numbers, one per feature.

A tree compares float32 numbers, so the observations that reach a leaf are a box whose bounds are
float32 numbers themselves: x <= t is [-max, t] and x > t is [the next number after t, max]. Nothing
is left out between the boxes of two leaves, and nothing belongs to both.
"""

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np

from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]
LARGEST = np.finfo(np.float32).max


@final
@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Observations x [O] with low <= x <= high.

    Attributes:
        low: float32 [O].
        high: float32 [O].
    """

    low: Array
    high: Array

    @classmethod
    def everything(cls, num_features: int) -> Self:
        """All finite float32 observations.

        >>> Box.everything(2).is_empty
        False
        """
        high = np.full(num_features, LARGEST, np.float32)
        return cls(-high, high)

    @property
    def is_empty(self) -> bool:
        """Whether no observation lies inside."""
        return bool((self.low > self.high).any())

    def meet(self, other: "Box") -> "Box":
        """What lies in both."""
        return Box(np.maximum(self.low, other.low), np.minimum(self.high, other.high))

    def nearest(self, observation: Array) -> Array:
        """The observation of this box that is nearest to one [O] in every feature: float32 [O]."""
        return np.clip(observation.astype(np.float32), self.low, self.high)

    def contains(self, observations: Array) -> Array:
        """Which observations [B, O] lie inside: bool [B]."""
        return np.all((observations >= self.low) & (observations <= self.high), axis=-1)


@final
@dataclass(frozen=True, slots=True, eq=False)
class LeafBoxes:
    """The boxes of the L leaves of a tree, from left to right: together every observation, once.

    Attributes:
        leaves: int64 [L], their node numbers.
        low: float32 [L, O].
        high: float32 [L, O]; below low where no observation reaches the leaf.
    """

    leaves: Array
    low: Array
    high: Array

    def box(self, index: int) -> Box:
        """That of leaf number `index`, from 0."""
        return Box(self.low[index], self.high[index])

    def within(self, box: Box) -> "LeafBoxes":
        """The parts of these boxes that lie in a box, of the leaves that can be reached in it."""
        low, high = np.maximum(self.low, box.low), np.minimum(self.high, box.high)
        reached = (low <= high).all(-1)
        return LeafBoxes(self.leaves[reached], low[reached], high[reached])


def leaf_boxes(tree: TreeArrays, num_features: int) -> LeafBoxes:
    """The box of every leaf.

    >>> from rldistill.students.tree import constant_tree
    >>> leaf_boxes(constant_tree(np.zeros(2, np.float32)), 3).low.shape
    (1, 3)
    """
    whole = Box.everything(num_features)
    found: list[tuple[int, Array, Array]] = []
    waiting = [(0, whole.low, whole.high)]
    while waiting:
        node, low, high = waiting.pop()
        feature, threshold = int(tree.feature[node]), tree.threshold[node]
        if feature == LEAF:
            found.append((node, low, high))
            continue
        right_low, left_high = low.copy(), high.copy()
        left_high[feature] = min(high[feature], threshold)
        right_low[feature] = max(low[feature], np.nextafter(threshold, np.float32(np.inf)))
        waiting.append((int(tree.right[node]), right_low, high))
        waiting.append((int(tree.left[node]), low, left_high))
    nodes, lows, highs = zip(*found, strict=True)
    return LeafBoxes(np.array(nodes), np.stack(lows), np.stack(highs))


def below(number: float, *, strict: bool) -> np.float32:
    """The largest float32 that is below a real number, or equal to it where not strict.

    >>> float(below(0.5, strict=False)), float(below(0.1, strict=True)) < 0.1
    (0.5, True)
    """
    near = np.float32(number)
    if float(near) > number or (strict and float(near) == number):
        near = np.nextafter(near, np.float32(-np.inf))
    return near


def above(number: float, *, strict: bool) -> np.float32:
    """The smallest float32 that is above a real number, or equal to it where not strict.

    >>> float(above(0.5, strict=False)), float(above(0.1, strict=True)) > 0.1
    (0.5, True)
    """
    return np.float32(-below(-number, strict=strict))
