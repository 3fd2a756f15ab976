"""The smallest change of an observation that changes the action.

Distances are Euclidean, each feature in units of its standard deviation over the states played; a
feature that never varied is not changed. For a tree with constant leaves the smallest change is
exact: it leads to the nearest point of the nearest leaf box with another action. For any other
policy it is searched, and what is found is an upper bound.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.core import Head
from rldistill.envs.naming import TaskNames
from rldistill.explain.actions import action_words, sameness
from rldistill.explain.boxes import LeafBoxes

Array = np.ndarray[Any, Any]
Acts = Callable[[Array], Array]
CHUNK = 64
# Of the search: how many nearest states with another action it starts from, and how it goes on.
STARTS = 6
HALVINGS = 10
ROUNDS = 6
MOST_PASSES = 2000
BEYOND = 1e-4


@final
@dataclass(frozen=True, slots=True, eq=False)
class Counterfactual:
    """One observation, and the nearest found with another action.

    Attributes:
        observation: float32 [O].
        action: what is done there.
        changed: float32 [O].
        new_action: what is done there.
        distance: in standard deviations.
        exact: whether nothing nearer changes the action.
    """

    observation: Array
    action: Array
    changed: Array
    new_action: Array
    distance: float
    exact: bool

    def words(self, names: TaskNames) -> str:
        """On one line."""
        parts = [
            f"{names.features[i].name} {self.observation[i]:.4g} -> {self.changed[i]:.4g}"
            + (f" {names.features[i].unit}" if names.features[i].unit else "")
            for i in np.flatnonzero(self.observation != self.changed).tolist()
        ]
        old, new = (action_words(*self._told(names, one)) for one in (self.action, self.new_action))
        return f"{', '.join(parts)} ({self.distance:.3g} sd): {old} -> {new}"

    def _told(self, names: TaskNames, action: Array) -> tuple[TaskNames, Array]:
        """Of continuous actions the dimensions that change by half of the largest change."""
        if action.ndim == 0:
            return names, action
        change = np.abs(self.new_action - self.action)
        kept = np.flatnonzero(2 * change >= change.max()).tolist()
        units = names.action_units or ("",) * len(names.actions)
        shown = TaskNames((), tuple(names.actions[i] for i in kept), tuple(units[i] for i in kept))
        return shown, action[kept]

    def to_json(self, names: TaskNames) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "observation": self.observation.tolist(),
            "action": self.action.tolist(),
            "changed": self.changed.tolist(),
            "new_action": self.new_action.tolist(),
            "distance": self.distance,
            "exact": self.exact,
            "words": self.words(names),
        }


def distances(observations: Array, others: Array, scale: Array) -> Array:
    """Distances [...] of observations [..., O] in standard deviations; infinite where a feature
    that never varies would change.

    >>> distances(np.array([0.0, 0.0]), np.array([3.0, 8.0]), np.array([1.0, 2.0])).item()
    5.0
    """
    apart = np.abs(observations.astype(np.float64) - others)
    scaled = apart / np.where(scale > 0, scale, 1.0)
    squares = np.where(scale > 0, scaled**2, np.where(apart > 0, np.inf, 0.0))
    return np.sqrt(squares.sum(-1))


def exact_changes(
    boxes: LeafBoxes, actions: Array, observations: Array, about: tuple[Head, Array]
) -> tuple[Array, Array]:
    """The nearest observations with another action, for a tree with constant leaves.

    Args:
        boxes: of the L leaves that can be reached.
        actions: of these leaves, [L] or [L, D].
        observations: float32 [B, O].
        about: the head, and the standard deviation [O] of each feature.

    Returns:
        (distances [B], observations [B, O]); infinite where no change of what varies changes it.
    """
    head, scale = about
    found: list[tuple[float, Array]] = []
    for start in range(0, len(observations), CHUNK):
        part = observations[start : start + CHUNK]
        nearest = np.clip(part[:, None], boxes.low, boxes.high)  # [b, L, O]
        apart = distances(nearest, part[:, None], scale)
        own = apart.argmin(1)  # 0 at the leaf that it lies in
        for row in range(len(part)):
            mine = np.broadcast_to(actions[own[row]], actions.shape)
            far = np.where(sameness(head, actions, mine) < 1.0, apart[row], np.inf)
            best = int(far.argmin())
            point = nearest[row, best] if np.isfinite(far[best]) else part[row]
            found.append((float(far[best]), point))
    return np.array([one for one, _ in found]), np.stack([point for _, point in found])


def searched_changes(
    act: Acts,
    pool: tuple[Array, Array],
    observations: Array,
    about: tuple[Head, Array],
    whole: bool = False,
) -> tuple[Array, Array]:
    """Near observations with another action, for any policy: upper bounds of the distance.

    From the nearest known states with another action the search halves the way back, then moves
    one feature after another back as far as the action stays different, and again.

    Args:
        act: from observations [N, O] to actions.
        pool: known observations and their actions: where to start from.
        observations: float32 [B, O].
        about: the head, and the standard deviation [O] of each feature.
        whole: features have their own value or that of a known state and nothing between, as the
            cells of a board do.
    """
    head, scale = about
    mine = act(observations)
    starts = _starts(pool, observations, mine, about)
    count, width = starts.shape[:2]
    origins = np.repeat(observations, width, 0).astype(np.float64)
    old = np.repeat(mine, width, 0)

    def differs(points: Array) -> Array:
        return sameness(head, act(points.astype(np.float32)), old) < 1.0

    points = starts.reshape(count * width, -1).astype(np.float64)
    found = differs(points)  # where no state with another action is known, none is
    varying = np.flatnonzero(scale > 0).tolist()
    rounds = int(np.clip(MOST_PASSES // (HALVINGS * max(1, len(varying))), 1, ROUNDS))
    halvings = 0 if whole else HALVINGS
    points = _halved(differs, origins, points, halvings)
    for _ in range(rounds):
        for feature in varying:
            points = _moved_back(differs, origins, points, (feature, halvings))
        points = _halved(differs, origins, points, halvings)
    if not whole:
        # A hair beyond the border, so that rounding does not take the point back.
        beyond = origins + (1.0 + BEYOND) * (points - origins)
        points = np.where(differs(beyond)[:, None], beyond, points)
    apart = np.where(found & differs(points), distances(points, origins, scale), np.inf)
    best = apart.reshape(count, width).argmin(1)
    chosen = np.arange(count) * width + best
    nearest = np.where(np.isfinite(apart[chosen])[:, None], points[chosen], observations)
    return apart[chosen], nearest.astype(np.float32)


def _starts(
    pool: tuple[Array, Array], observations: Array, mine: Array, about: tuple[Head, Array]
) -> Array:
    """For each observation the nearest known ones with another action: [B, S, O]."""
    head, scale = about
    known, actions = pool
    width = min(STARTS, len(known))
    found: list[Array] = []
    for row, observation in enumerate(observations):
        other = sameness(head, actions, np.repeat(mine[row : row + 1], len(actions), 0)) < 1.0
        far = np.where(other, distances(known, observation, scale), np.inf)
        found.append(known[np.argsort(far, kind="stable")[:width]])
    return np.stack(found)


def _halved(differs: Acts, origins: Array, points: Array, halvings: int) -> Array:
    """Move all features of points [S, O] towards their origins, as far as the action allows."""
    near, far = np.zeros(len(points)), np.ones(len(points))
    way = points - origins
    for _ in range(halvings):
        middle = (near + far) / 2
        other = differs(origins + middle[:, None] * way)
        near, far = np.where(other, near, middle), np.where(other, middle, far)
    return origins + far[:, None] * way


def _moved_back(differs: Acts, origins: Array, points: Array, what: tuple[int, int]) -> Array:
    """Move one feature of points [S, O] back to its value, as far as the action allows.

    `what` is the feature, and how often the way back is halved: 0 for all of it or nothing.
    """
    feature, halvings = what
    near, far = np.zeros(len(points)), np.ones(len(points))
    way = points[:, feature] - origins[:, feature]

    def moved(share: Array) -> Array:
        changed = points.copy()
        changed[:, feature] = origins[:, feature] + share * way
        return changed

    all_back = differs(moved(near))
    if not all_back.all():
        for _ in range(halvings):
            middle = (near + far) / 2
            other = differs(moved(middle))
            near, far = np.where(other, near, middle), np.where(other, middle, far)
    return moved(np.where(all_back, 0.0, far))
