"""Which episode, and which step of it, each of B autoresetting environments is at."""

from typing import final

import numpy as np

from rldistill.data.rows import Array


@final
class EpisodeClock:
    """Numbers the steps and episodes of B environments, trajectory after trajectory.

    Episode n of environment b has the number n * B + b.
    """

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self._episodes = np.zeros(num_envs, np.int64)  # ended so far
        self._steps = np.zeros(num_envs, np.int64)  # taken in the running episode
        self._waiting = np.zeros(num_envs, np.bool_)  # ended, and not yet started over

    def tick(self, valid: Array, ended: Array) -> tuple[Array, Array, Array]:
        """Advance by [T, B] steps.

        Returns:
            episode int64 [T, B] and step int32 [T, B], both meaningless where valid is False; and
            final int64 [T, B]: the episode whose final observation is seen here, else -1.
        """
        # Row t of each table below counts what happened before step t; the last, what is carried.
        none = np.zeros((1, self.num_envs), np.int64)
        episodes = self._episodes + np.concatenate([none, ended.cumsum(0)])
        taken = self._steps + np.concatenate([none, valid.cumsum(0)])
        at_start = np.maximum.accumulate(np.where(ended, taken[1:], 0), 0)
        steps = taken - np.concatenate([none, at_start])
        environment = np.arange(self.num_envs)
        episode = episodes[:-1] * self.num_envs + environment
        waiting = np.concatenate([self._waiting[None], ended[:-1]])
        final = np.where(waiting & ~valid, episode - self.num_envs, -1)
        if len(valid):
            self._waiting = ended[-1]
        self._episodes, self._steps = episodes[-1], steps[-1]
        return episode, steps[:-1].astype(np.int32), final

    def open_episodes(self) -> Array:
        """int64 [B]: the episode whose final observation was not yet seen, else -1."""
        running = self._episodes * self.num_envs + np.arange(self.num_envs)
        ended = np.where(self._waiting, running - self.num_envs, -1)
        return np.where(self._steps > 0, running, ended)
