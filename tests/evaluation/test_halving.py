"""Successive halving: the best of many is found, and each halving costs about the same."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from small_runs import FOLLOW, follower

from rldistill.core import Policy
from rldistill.evaluation.halving import FIRST_EPISODES, halve
from rldistill.evaluation.scores import Arena, Round, task_info


@dataclass
class NoisyArena:
    """An environment's return is the action that was chosen in it, and noise; 64 of them."""

    noise: float = 0.0
    num_envs: int = 64
    seed: int = 0
    played: list[tuple[int, dict[float, int]]] = field(default_factory=list)

    def next_seed(self) -> int:
        self.seed += 1
        return self.seed

    def play(self, actor: Any, seed: int) -> Round:
        actions = actor(np.zeros((self.num_envs, 1), np.float32), np.zeros(self.num_envs, bool))
        values, counts = np.unique(actions, return_counts=True)
        self.played.append((seed, dict(zip(values.tolist(), counts.tolist(), strict=True))))
        generator = np.random.default_rng([seed, len(self.played)])
        returns = actions + generator.normal(0.0, self.noise, self.num_envs)
        return Round(returns, np.zeros(self.num_envs, np.int64), np.zeros(0))


def fixed(policy: Any, seed: int) -> Any:
    """The actor of a number: it always acts by it."""
    del seed
    return lambda observations, starts: np.full(len(observations), float(policy))


def found(arena: NoisyArena, values: list[float]) -> Any:
    students: Any = values
    return halve(arena, students, fixed)  # pyright: ignore[reportArgumentType]


def test_each_halving_plays_the_same_number_of_rounds_until_few_are_left() -> None:
    """32 with 8 episodes each, 16 with 16, 8 with 32, 4 with 64, and then whole rounds."""
    arena = NoisyArena()
    halving = found(arena, [float(i) for i in range(32)])
    assert halving.best == 31
    rounds: dict[int, list[dict[float, int]]] = {}
    for seed, shares in arena.played:
        rounds.setdefault(seed, []).append(shares)
    assert [len(of_one) for of_one in rounds.values()] == [4, 4, 4, 4, 2]
    told = [{n for shares in of_one for n in shares.values()} for of_one in rounds.values()]
    assert told == [{8}, {16}, {32}, {64}, {64}]
    assert halving.episodes == 8 + 16 + 32 + 64 + 64


def test_the_better_half_goes_on() -> None:
    arena = NoisyArena()
    found(arena, [3.0, 9.0, 1.0, 7.0, 5.0])
    who = [set(shares) for _, shares in arena.played]
    assert who[0] == {1.0, 3.0, 5.0, 7.0, 9.0}
    assert who[1] == {5.0, 7.0, 9.0}
    assert who[2] | who[-1] == {7.0, 9.0}


def test_the_best_is_found_through_noise() -> None:
    """16 students half a deviation apart: the last rounds tell the best two apart.

    They play 184 episodes each, so their means differ by 4.8 standard errors.
    """
    values = [0.5 * i for i in range(16)]
    hits = [found(NoisyArena(noise=1.0, seed=100 * i), values).best == 15 for i in range(40)]
    assert sum(hits) >= 39


@pytest.mark.parametrize("num_envs", [1, 3, FIRST_EPISODES, 10])
def test_an_arena_of_few_environments(num_envs: int) -> None:
    arena = NoisyArena(num_envs=num_envs)
    assert found(arena, [2.0, 5.0, 1.0]).best == 1


def test_one_student_plays_nothing() -> None:
    arena = NoisyArena()
    halving = found(arena, [2.0])
    assert (halving.best, halving.episodes, arena.played) == (0, 0, [])


def test_students_that_share_a_round_act_for_themselves() -> None:
    """In a real arena: the one that does what is rewarded wins among others."""
    arena = Arena(FOLLOW, task_info(FOLLOW), 16, 0)
    students: list[Policy] = [follower(threshold=t) for t in (1.5, 0.9, 0.02, 0.6)]

    def actor_of(policy: Policy, seed: int) -> Any:
        del seed
        return lambda observations, starts: policy.predict(observations)[0]

    with arena:
        halving = halve(arena, students, actor_of)
    assert halving.best == 2
