"""What each leaf of a tree can do inside its part of a box."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from rldistill.core import CategoricalHead, Head, NetworkPolicy, QValueHead
from rldistill.explain.actions import is_discrete
from rldistill.explain.boxes import Box, LeafBoxes
from rldistill.explain.claims import Claim
from rldistill.explain.conditions import Condition
from rldistill.explain.linear_leaves import best_point, corners, excluded, ranges, slack
from rldistill.students.tree import TreeArrays

Array = np.ndarray[Any, Any]
# By how much an action must lead, as a share of the size of the values, for a point to be tried.
MARGINS = (1e-6, 1e-4, 1e-2, 1.0)
HALVINGS = 200


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafActions:
    """What one leaf can do in its part of the box.

    Attributes:
        leaf: its node number.
        region: its part of the box.
        actions: discrete actions that it takes somewhere in there, each seen when run.
        open_actions: discrete actions of which only rounding could decide; linear leaves alone.
        low: [D], lower bound of a continuous action; None for discrete ones.
        high: [D], upper bound.
        counterexample: float32 [O] where the claim is broken, seen when run; None for none.
        is_open: whether this leaf leaves the claim open.
    """

    leaf: int
    region: Box
    actions: tuple[int, ...] = ()
    open_actions: tuple[int, ...] = ()
    low: Array | None = None
    high: Array | None = None
    counterexample: Array | None = None
    is_open: bool = False


def leaf_actions(
    policy: NetworkPolicy, tree: TreeArrays, reached: LeafBoxes, claim: Claim | None
) -> list[LeafActions]:
    """Look at every leaf that is reached.

    Args:
        policy: the tree as it acts; every action reported is seen in it.
        tree: its arrays.
        reached: the parts of its leaves' boxes that lie in the box asked about.
        claim: what is claimed, if anything.
    """
    head = policy.info.head
    if tree.coefficients is None:
        return _constant(policy, reached, claim)
    look = _linear_discrete if is_discrete(head) else _linear_continuous
    return [
        look(policy, _linear_of(tree, int(leaf)), (int(leaf), reached.box(i)), claim)
        for i, leaf in enumerate(reached.leaves)
    ]


Linear = tuple[Array, Array]  # values [K] and coefficients [K, O] of one leaf


def _linear_of(tree: TreeArrays, leaf: int) -> Linear:
    assert tree.coefficients is not None
    return tree.values[leaf], tree.coefficients[leaf]


def _constant(policy: NetworkPolicy, reached: LeafBoxes, claim: Claim | None) -> list[LeafActions]:
    """A leaf with constant values does everywhere what it does anywhere: run it once."""
    if len(reached.leaves) == 0:
        return []
    zeros = np.zeros(reached.low.shape, np.float32)
    points = np.clip(zeros, reached.low, reached.high)
    actions = policy.predict(points)[0]
    broken = np.zeros(len(points), bool) if claim is None else claim.broken_by(actions)
    discrete = actions.ndim == 1
    return [
        LeafActions(
            leaf=int(leaf),
            region=reached.box(i),
            actions=(int(actions[i]),) if discrete else (),
            low=None if discrete else actions[i],
            high=None if discrete else actions[i],
            counterexample=points[i] if broken[i] else None,
        )
        for i, leaf in enumerate(reached.leaves)
    ]


def _linear_discrete(
    policy: NetworkPolicy, linear: Linear, where: tuple[int, Box], claim: Claim | None
) -> LeafActions:
    """Which actions are the largest somewhere in the region: shown by a point, or shut out."""
    values, coefficients = linear
    leaf, region = where
    out = excluded(values, coefficients, region)
    seen: dict[int, Array] = {}
    undecided: list[int] = []
    for action in np.flatnonzero(~out).tolist():
        point = _point_of(policy, linear, region, action)
        if point is not None:
            seen[action] = point
        elif not _shut_out(linear, region, action):
            undecided.append(action)
    bad = frozenset[int]() if claim is None else claim.actions
    broken = [seen[action] for action in sorted(bad) if action in seen]
    return LeafActions(
        leaf=leaf,
        region=region,
        actions=tuple(seen),
        open_actions=tuple(undecided),
        counterexample=min(broken, key=lambda point: np.abs(point).sum()) if broken else None,
        is_open=not broken and not bad.isdisjoint(undecided),
    )


def _point_of(policy: NetworkPolicy, linear: Linear, region: Box, action: int) -> Array | None:
    """An observation of the region where the policy, run, takes this action."""
    values, coefficients = linear
    size = 1.0 + float(np.abs(values).max())
    for margin in MARGINS:
        point = best_point(values, coefficients, region, action, margin * size)
        if point is not None and int(policy.predict(point)[0]) == action:
            return point
    return None


def _shut_out(linear: Linear, region: Box, action: int) -> bool:
    """Whether no observation brings the action within rounding of all others, by linear program."""
    values, coefficients = linear
    error = 2 * float(slack(values, coefficients, region).max()) + 1e-6 * (
        1.0 + float(np.abs(values).max())
    )
    return best_point(values, coefficients, region, action, -error) is None


def _linear_continuous(
    policy: NetworkPolicy, linear: Linear, where: tuple[int, Box], claim: Claim | None
) -> LeafActions:
    """Bounds on every dimension of the action, and a point where a claim breaks."""
    values, coefficients = linear
    leaf, region = where
    raw_low, raw_high = ranges(values, coefficients, region)
    low, high = (action_of(policy.info.head, raw) for raw in (raw_low, raw_high))
    found: Array | None = None
    is_open = False
    for bad in () if claim is None else claim.ranges:
        if low[bad.index] > bad.high or high[bad.index] < bad.low:
            continue
        point = _breaking_point(policy, coefficients[bad.index], region, bad)
        is_open = is_open or point is None
        found = point if found is None else found
    return LeafActions(
        leaf=leaf,
        region=region,
        low=low,
        high=high,
        counterexample=found,
        is_open=is_open and found is None,
    )


def action_of(head: Head, raw: Array) -> Array:
    """The action [D] of raw outputs [outputs], which rises with each of them, clipped to bounds."""
    with torch.no_grad():
        action = head(torch.from_numpy(np.float32(np.clip(raw, -1e38, 1e38)))).mode().numpy()
    assert not isinstance(head, (CategoricalHead, QValueHead))
    return np.clip(action, np.array(head.low, np.float32), np.array(head.high, np.float32))


def _breaking_point(
    policy: NetworkPolicy, slope: Array, region: Box, bad: Condition
) -> Array | None:
    """An observation nearest to 0 on the way to a corner where one dimension is in a range."""
    centre = region.nearest(np.zeros(len(region.low))).astype(np.float64)
    lowest, highest = (corner[0] for corner in corners(slope[None], region))

    def action(point: Array) -> float:
        return float(policy.predict(region.nearest(point))[0][bad.index])

    start = action(centre)
    if bad.low <= start <= bad.high:
        return region.nearest(centre)
    rising = start < float(bad.low)
    target = highest if rising else lowest
    far = _halve(lambda s: action(centre + s * (target - centre)), (bad, rising))
    point = region.nearest(centre + far * (target - centre))
    return point if bad.low <= action(point) <= bad.high else None


def _halve(action: Callable[[float], float], until: tuple[Condition, bool]) -> float:
    """The smallest share of the way, in [0, 1], at which a monotone action enters a range."""
    bad, rising = until
    near, far = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        value = action(middle)
        inside = value >= bad.low if rising else value <= bad.high
        near, far = (near, middle) if inside else (middle, far)
    return far
