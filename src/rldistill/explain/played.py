"""Episodes played and kept: what was seen, what was done, and the return that followed."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch

from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.envs.vector import Step, VectorEnv
from rldistill.evaluation.evaluate import one_thread
from rldistill.evaluation.scores import SEED_SPACE, Actor, Arena, play_round, policy_actor

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """N states of E episodes.

    Attributes:
        observations: [N, ...].
        actions: int64 [N] or float32 [N, D], what was done.
        returns_to_go: float64 [N], sum of raw rewards from this step to the end of its episode.
        episode: int64 [N], which episode, 0 to E - 1.
        returns: float64 [E], of whole episodes.
        teacher_observations: [N, ...], the states as the teacher sees them, where that is
            something else; None: the same.
    """

    observations: Array
    actions: Array
    returns_to_go: Array
    episode: Array
    returns: Array
    teacher_observations: Array | None = None

    @property
    def num_episodes(self) -> int:
        """E."""
        return len(self.returns)

    def flat(self) -> "Played":
        """With its observations as rows of float32."""
        rows = self.observations.reshape(len(self.observations), -1).astype(np.float32)
        return replace(self, observations=rows)

    def rows(self, chosen: Array) -> "Played":
        """Some of the states; the returns stay those of all episodes."""
        return Played(
            self.observations[chosen],
            self.actions[chosen],
            self.returns_to_go[chosen],
            self.episode[chosen],
            self.returns,
            None if self.teacher_observations is None else self.teacher_observations[chosen],
        )


@final
class Recorder(VectorEnv):
    """Environments that remember the first episode of each since the last reset."""

    def __init__(self, env: VectorEnv, stride: int) -> None:
        """Wrap.

        Args:
            env: the environments; closed by who made them.
            stride: every so many steps one state is kept; rewards are all counted.
        """
        self.info, self.num_envs = env.info, env.num_envs
        self._env, self._stride = env, stride
        self._kept: list[tuple[Array, Array, Array, int]] = []
        self._theirs: list[Array] = []
        self._rewards: list[Array] = []

    def reset(self, seed: int | None = None) -> Array:
        self._kept, self._theirs, self._rewards = [], [], []
        self._running = np.ones(self.num_envs, bool)
        self._observations = self._env.reset(seed)
        self.teacher_observations = self._env.teacher_observations
        return self._observations

    def step(self, actions: Array) -> Step:
        time, running = len(self._rewards), self._running
        if time % self._stride == 0:
            rows = np.flatnonzero(running)
            if self.teacher_observations is not self._observations:
                self._theirs.append(self.teacher_observations[rows])
            self._kept.append((self._observations[rows].copy(), actions[rows], rows, time))
        step = self._env.step(actions)
        self._rewards.append(np.where(running, step.rewards, 0.0))
        self._running = running & ~(step.terminated | step.truncated)
        self._observations = step.observations
        self.teacher_observations = step.teacher_observations
        return step

    def rest(self, resting: Array) -> None:
        self._env.rest(resting)

    def close(self) -> None:
        """Nothing: who made the environments closes them."""

    def played(self) -> Played:
        """What was remembered."""
        rewards = np.stack(self._rewards)
        to_go = np.cumsum(rewards[::-1], 0)[::-1]
        seen, acted, rows, times = zip(*self._kept, strict=True)
        return Played(
            observations=np.concatenate(seen),
            actions=np.concatenate(acted),
            returns_to_go=np.concatenate(
                [to_go[time, row] for time, row in zip(times, rows, strict=True)]
            ),
            episode=np.concatenate(rows),
            returns=rewards.sum(0),
            teacher_observations=np.concatenate(self._theirs) if self._theirs else None,
        )


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """Where policies are played for an explanation: the same episodes for each of them.

    Attributes:
        env: the environments.
        seeds: of the rounds.
    """

    env: VectorEnv
    seeds: tuple[int, ...]

    def play(self, policy: NetworkPolicy, stride: int = 1) -> Played:
        """Play a policy by mode and keep what happened."""
        recorder = Recorder(self.env, stride)
        found: list[Played] = []
        for seed in self.seeds:
            play_round(recorder, actor_of(policy, seed), seed)
            found.append(recorder.played())
        return joined(found)

    def returns(self, actors: Sequence[Actor]) -> Array:
        """The returns [E] of one actor per round."""
        rounds = [
            play_round(self.env, actor, seed)
            for actor, seed in zip(actors, self.seeds, strict=True)
        ]
        return np.concatenate([one.returns for one in rounds])


@contextmanager
def stage(task: TaskSpec, info: TaskInfo, episodes: tuple[int, int], seed: int) -> Generator[Stage]:
    """Environments and seeds that no training run of this seed has used.

    Args:
        task: what to play.
        info: what it is like.
        episodes: how many at least, and how many at a time.
        seed: of everything.
    """
    num_episodes, num_envs = episodes
    arena = Arena(task, info, num_envs, seed)
    # As in evaluate: a run of this seed chose its student on the seeds from 0 on.
    arena.rounds_played = SEED_SPACE // 4 // num_envs
    seeds = tuple(arena.next_seed() for _ in range(-(-num_episodes // num_envs)))
    with one_thread(), make(task, num_envs, seeds[0]) as env:
        yield Stage(env, seeds)


def actor_of(policy: NetworkPolicy, seed: int) -> Actor:
    """The policy acting by mode."""
    return policy_actor(policy, Acting(), torch.device("cpu"), seed)


def joined(parts: Sequence[Played]) -> Played:
    """Several rounds as one, their episodes counted on."""
    theirs = [x for part in parts if (x := part.teacher_observations) is not None]
    offsets = np.cumsum([0, *(part.num_episodes for part in parts)])
    return Played(
        observations=np.concatenate([part.observations for part in parts]),
        actions=np.concatenate([part.actions for part in parts]),
        returns_to_go=np.concatenate([part.returns_to_go for part in parts]),
        episode=np.concatenate(
            [part.episode + offset for part, offset in zip(parts, offsets, strict=False)]
        ),
        returns=np.concatenate([part.returns for part in parts]),
        teacher_observations=np.concatenate(theirs) if theirs else None,
    )
