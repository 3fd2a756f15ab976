"""How often each leaf is used, what return follows it, and how faithful it is there."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.explain.intervals import per_episode, ratios
from rldistill.explain.played import Played
from rldistill.explain.rules import Rule
from rldistill.maths.stats import Estimate

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of the states: those that reach one leaf.

    Attributes:
        number: from 1, the leaves from left to right.
        rule: how it is reached, and what the tree does there.
        merged: leaves of the tree as it was, that this one stands for.
        visits: states of the episodes played that lie here.
        share: of all states.
        return_after: mean sum of rewards from a state here to the end of its episode; NaN where
            it was never visited.
        fidelity: how often the tree does here what it is compared with does; None without one.
    """

    number: int
    rule: Rule
    merged: tuple[int, ...]
    visits: int
    share: Estimate
    return_after: Estimate
    fidelity: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the rule is told in words elsewhere."""
        record: dict[str, Any] = {
            "number": self.number,
            "leaf": self.rule.leaf,
            "merged_leaves": list(self.merged),
            "action": self.rule.action,
            "visits": self.visits,
        }
        for name, found in (("share", self.share), ("return_after", self.return_after)):
            record[name] = estimate_json(found)
        record["fidelity"] = None if self.fidelity is None else estimate_json(self.fidelity)
        return record


def estimate_json(found: Estimate) -> dict[str, float | None]:
    """A number with its interval; NaN is null.

    >>> estimate_json(Estimate(0.5, None, None))
    {'value': 0.5, 'low': None, 'high': None}
    """
    value = found.value if np.isfinite(found.value) else None
    return {"value": value, "low": found.low, "high": found.high}


def regions_of(
    rules: tuple[Rule, ...],
    merged: dict[int, tuple[int, ...]],
    leaves: Array,
    played: Played,
    same: Array | None,
) -> tuple[Region, ...]:
    """One region per rule, from the states played.

    Args:
        rules: of all leaves, from left to right.
        merged: by leaf, the leaves of the unmerged tree.
        leaves: [N], the leaf that each state reaches.
        played: the states.
        same: [N] in [0, 1], how alike tree and the other act; None where there is no other.
    """
    place = {rule.leaf: index for index, rule in enumerate(rules)}
    groups = np.array([place[leaf] for leaf in leaves.tolist()], np.int64)
    size = (played.num_episodes, len(rules))

    def sums(values: Array) -> Array:
        return per_episode(values, groups, played.episode, size)

    visits = sums(np.ones(len(groups)))
    total = np.repeat(visits.sum(1, keepdims=True), len(rules), 1)
    share = ratios(visits, total)
    after = ratios(sums(played.returns_to_go), visits)
    fidelity = None if same is None else ratios(sums(same), visits)
    return tuple(
        Region(
            number=index + 1,
            rule=rule,
            merged=merged[rule.leaf],
            visits=int(visits[:, index].sum()),
            share=share[index],
            return_after=after[index],
            fidelity=None if fidelity is None else fidelity[index],
        )
        for index, rule in enumerate(rules)
    )


def overall(same: Array, played: Played) -> Estimate:
    """The mean of a number per state, with an interval that resamples episodes."""
    groups, size = np.zeros(len(same), np.int64), (played.num_episodes, 1)
    ones = per_episode(np.ones(len(same)), groups, played.episode, size)
    return ratios(per_episode(same, groups, played.episode, size), ones)[0]
