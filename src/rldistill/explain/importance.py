"""What each feature is worth: the return that is lost when it is shuffled while the policy plays.

At every step the policy sees, in place of the feature, its value in a random state of the episodes
played. Where the task starts equally from equal seeds, each episode is compared with the same one
played with all features intact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.core import NetworkPolicy
from rldistill.envs.naming import TaskNames
from rldistill.evaluation.scores import Actor
from rldistill.explain.actions import acts, sameness
from rldistill.explain.played import Played, Stage, actor_of
from rldistill.maths import stats
from rldistill.maths.stats import Estimate

Array = np.ndarray[Any, Any]
# States on which it is counted how many actions change, before anything is played.
STATES_COUNTED = 4096


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What one feature, or one group of features, is worth.

    Attributes:
        name: of the feature or the group.
        features: their indices.
        return_lost: per episode, in raw reward; None where it was not played.
        actions_changed: share of states in which shuffling changes the action.
        unused: the tree asks for none of them: nothing can be lost.
    """

    name: str
    features: tuple[int, ...]
    return_lost: Estimate | None
    actions_changed: float
    unused: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        lost = self.return_lost
        return {
            "name": self.name,
            "features": list(self.features),
            "return_lost": None if lost is None else lost.value,
            "return_lost_low": None if lost is None else lost.low,
            "return_lost_high": None if lost is None else lost.high,
            "actions_changed": self.actions_changed,
            "unused": self.unused,
        }


def importances(
    policy: NetworkPolicy,
    played: Played,
    where: Stage,
    units: Sequence[tuple[str, tuple[int, ...]]],
    limits: tuple[frozenset[int] | None, int],
) -> tuple[Importance, ...]:
    """The worth of each unit, the most valuable first.

    Args:
        policy: who plays.
        played: its episodes with all features intact, on this stage.
        where: to play the others: the same episodes.
        units: names and feature indices of what is shuffled together.
        limits: the features that a tree asks for (None: any may matter), and how many units are
            played at most: those that change most actions.
    """
    used, most = limits
    unused = [used is not None and used.isdisjoint(features) for _, features in units]
    changed = [
        0.0 if idle else _actions_changed(policy, played, features)
        for (_, features), idle in zip(units, unused, strict=True)
    ]
    order = sorted(range(len(units)), key=lambda i: (-changed[i], i))
    chosen = {i for i in order[:most] if not unused[i]}
    nothing = Estimate(0.0, 0.0, 0.0)
    found: list[Importance] = []
    for index in order:
        name, features = units[index]
        lost = nothing if unused[index] else None
        if index in chosen:
            actors = [_shuffled(policy, played, features, seed) for seed in where.seeds]
            lost = stats.estimate(played.returns - where.returns(actors))
        found.append(
            Importance(
                name=name,
                features=features,
                return_lost=lost,
                actions_changed=changed[index],
                unused=unused[index],
            )
        )
    return tuple(sorted(found, key=lambda one: -_worth(one)))


def units_of(names: TaskNames) -> list[tuple[str, tuple[int, ...]]]:
    """What is shuffled together: the cells of one channel, else one feature.

    >>> from rldistill.envs.naming import Feature
    >>> features = (Feature("a"), Feature("b", group="ball"), Feature("c", group="ball"))
    >>> units_of(TaskNames(features, ()))
    [('a', (0,)), ('ball', (1, 2))]
    """
    units: dict[str, list[int]] = {}
    for index, feature in enumerate(names.features):
        units.setdefault(feature.group or feature.name, []).append(index)
    return [(name, tuple(indices)) for name, indices in units.items()]


def _worth(one: Importance) -> float:
    return -np.inf if one.return_lost is None else one.return_lost.value


def _actions_changed(policy: NetworkPolicy, played: Played, features: tuple[int, ...]) -> float:
    generator = np.random.default_rng(list(features))
    states = len(played.observations)
    rows = generator.permutation(states)[:STATES_COUNTED]
    shuffled = played.observations[rows].copy()
    donors = generator.integers(0, states, len(rows))
    shuffled[:, features] = played.observations[donors][:, features]
    intact = acts(policy, played.observations[rows])
    return float(1.0 - sameness(policy.info.head, acts(policy, shuffled), intact).mean())


def _shuffled(policy: NetworkPolicy, played: Played, features: tuple[int, ...], seed: int) -> Actor:
    """The policy, seeing these features of random states instead of the real ones."""
    inner = actor_of(policy, seed)
    generator = np.random.default_rng([seed, *features])
    pool = played.observations[:, features]

    def actor(observations: Array, starts: Array) -> Array:
        seen = observations.reshape(len(observations), -1).astype(np.float32)
        seen[:, features] = pool[generator.integers(0, len(pool), len(seen))]
        return inner(seen, starts)

    return actor
