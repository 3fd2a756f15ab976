"""Specs of the students that are grown from labelled states: trees and rule lists."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.errors import SettingError
from rldistill.students.cart import fit_cart
from rldistill.students.linear_tree import fit_linear_tree
from rldistill.students.rule_list import fit_rules
from rldistill.students.tree import TreeArrays
from rldistill.students.tree_targets import Targets

LARGEST_TREE = 1 << 20
_NUMBER = re.compile(r"-?[0-9]{1,9}")

Grow = Callable[[np.ndarray[Any, Any], Targets, int], TreeArrays]


@final
@dataclass(frozen=True, slots=True)
class Growth:
    """One way to grow a tree.

    Attributes:
        name: the word before the colon.
        sizes: what its number counts, for messages.
        grow: observations [N, O], targets and the number, to a tree.
        linear: leaves hold linear models.
    """

    name: str
    sizes: str
    grow: Grow
    linear: bool = False


GROWTHS = {
    growth.name: growth
    for growth in (
        Growth("tree", "leaves", fit_cart),
        Growth("linear-tree", "leaves", fit_linear_tree, linear=True),
        Growth("rules", "rules", fit_rules),
    )
}


@final
@dataclass(frozen=True, slots=True)
class TreeSpec:
    """A tree that is grown: tree:LEAVES, linear-tree:LEAVES or rules:N.

    Attributes:
        growth: how.
        size: at most so many leaves, or rules.

    Raises:
        SettingError: a size out of range.
    """

    growth: Growth
    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST_TREE:
            raise SettingError(
                f"{self.growth.sizes} must be 1 to {LARGEST_TREE:,}, got {self.size}"
            )

    def __str__(self) -> str:
        return f"{self.growth.name}:{self.size}"


def parse_tree(name: str, rest: str) -> TreeSpec:
    """Read NAME:NUMBER.

    Raises:
        SettingError: no number, or one out of range.

    >>> str(parse_tree("tree", "64"))
    'tree:64'
    """
    growth = GROWTHS[name]
    if not _NUMBER.fullmatch(rest):
        raise SettingError(
            f"give the number of {growth.sizes}, for example {name}:16; got {rest!r:.40}"
        )
    return TreeSpec(growth, int(rest))
