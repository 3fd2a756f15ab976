"""Successive halving: many students play few episodes, the better half plays more, and so on."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rldistill.core import Policy
from rldistill.evaluation.looks import Halving
from rldistill.evaluation.scores import Actor, Arena

Array = np.ndarray[Any, Any]
# Episodes of each student in the first round; each later round has twice as many, up to a whole
# round of the arena.
FIRST_EPISODES = 8


def halve(
    arena: Arena, students: Sequence[Policy], actor_of: Callable[[Policy, int], Actor]
) -> Halving:
    """The student with the best mean return, found by halving the field again and again.

    Where few episodes are asked of each, students share the environments of one round of the
    arena; all rounds of one halving play the same fresh seeds. Who goes on is decided by the mean
    over all episodes so far.

    Args:
        arena: plays, on seeds that nothing else plays.
        students: at least one.
        actor_of: the actor of a student, given a seed.

    Source: Karnin et al. 2013 (sequential halving: each halving has the same budget); Bastani et
        al. 2018 choose their tree among all rounds so.
    """
    returns = {index: np.zeros(0) for index in range(len(students))}
    episodes = min(FIRST_EPISODES, arena.num_envs)
    while len(returns) > 1:
        seed, together = arena.next_seed(), arena.num_envs // episodes
        going = list(returns)
        for start in range(0, len(going), together):
            group = going[start : start + together]
            played = _play_together(arena, [actor_of(students[i], seed) for i in group], seed)
            for index, new in zip(group, played, strict=True):
                returns[index] = np.concatenate([returns[index], new])
        best_first = sorted(returns, key=lambda i: -float(returns[i].mean()))
        returns = {i: returns[i] for i in best_first[: (len(best_first) + 1) // 2]}
        episodes = min(2 * episodes, arena.num_envs)
    best, played = next(iter(returns.items()))
    return Halving(best, float(played.mean()) if len(played) else 0.0, len(played))


def _play_together(arena: Arena, actors: Sequence[Actor], seed: int) -> list[Array]:
    """Returns of each actor on its share of the environments of one round."""
    shares = np.array_split(np.arange(arena.num_envs), len(actors))

    def act(observations: Array, starts: Array) -> Array:
        return np.concatenate(
            [
                actor(observations[share], starts[share])
                for actor, share in zip(actors, shares, strict=True)
            ]
        )

    returns = arena.play(act, seed).returns
    return [returns[share] for share in shares]
