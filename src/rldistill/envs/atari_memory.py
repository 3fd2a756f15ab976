"""Many games whose memory is read: single emulators, stepped by threads.

ale-py's AtariVectorEnv shows no memory. Its emulators let go of Python's lock while they run, so
threads step them at the same time.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.envs.atari_single import AtariGame
from rldistill.envs.vector import RawStep, SimulatorError

Array = np.ndarray[Any, Any]


@final
class AtariMemorySimulator:
    """B games of AtariGame, a share of them on each thread."""

    def __init__(self, games: Sequence[AtariGame], num_threads: int) -> None:
        self._games = list(games)
        self.num_envs = len(self._games)
        self.observation_space: spaces.Space[Any] = self._games[0].observation_space
        self.action_space: spaces.Space[Any] = self._games[0].action_space
        self._threads = ThreadPoolExecutor(num_threads)
        self._shares = np.array_split(np.arange(self.num_envs), num_threads)
        self._over = np.zeros(self.num_envs, np.bool_)
        self._resting = np.zeros(self.num_envs, np.bool_)
        self._last = np.zeros((self.num_envs, *(self.observation_space.shape or ())), np.uint8)

    def reset(self, seed: int | None) -> Any:
        self._over, self._resting = np.zeros((2, self.num_envs), np.bool_)
        observations = np.empty_like(self._last)

        def one(index: int) -> None:
            own_seed = None if seed is None else seed + index
            observations[index] = self._games[index].reset(seed=own_seed)[0]

        self._each(one)
        self._last = observations
        return observations

    def step(self, actions: Array) -> RawStep:
        observations = self._last.copy()
        rewards = np.zeros(self.num_envs, np.float64)
        ends = np.zeros((2, self.num_envs), np.bool_)
        chosen: list[int] = actions.tolist()

        def one(index: int) -> None:
            game = self._games[index]
            if self._resting[index]:
                return
            if self._over[index]:
                observations[index] = game.reset()[0]
                self._over[index] = False
                return
            seen, rewards[index], over, cut, _ = game.step(chosen[index])
            observations[index] = seen
            ends[:, index] = over, cut
            self._over[index] = over or cut

        self._each(one)
        self._last = observations
        return observations, rewards, ends[0], ends[1]

    def memory(self) -> Array:
        """The memory of every game: [B, 128] uint8."""
        return np.stack([game.memory() for game in self._games])

    def rest(self, resting: Array) -> None:
        """Leave these alone."""
        self._resting = np.array(resting, np.bool_)

    def close(self) -> None:
        self._threads.shutdown()

    def _each(self, one: Callable[[int], None]) -> None:
        def share(indices: Array) -> None:
            for index in indices.tolist():
                try:
                    one(index)
                except Exception as error:
                    raise SimulatorError(index) from error

        if len(self._shares) == 1:
            share(self._shares[0])
            return
        for done in [self._threads.submit(share, indices) for indices in self._shares]:
            done.result()
