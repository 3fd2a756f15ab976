"""Environments whose episodes, lengths and rewards follow from the seed."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class SeedTells(gymnasium.Env):
    """The episode after a seeded reset has 1 + seed % 7 steps, step t worth t; later ones 1 step.

    Later episodes are worth 1000, so that one of them in a sum shows. Observes
    [seed % 7, t, episode, last action].
    """

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.seed, self.episode = 0, 0

    def observe(self, action: float) -> Any:
        return np.array([self.seed % 7, self.t, self.episode, action], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.episode += 1
        if seed is not None:
            self.seed, self.episode = seed, 0
        self.t = 0
        return self.observe(-1), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        first = self.episode == 0
        over = self.t >= (1 + self.seed % 7 if first else 1)
        return self.observe(action), self.t if first else 1000.0, over, False, {}


class Fives(SeedTells):
    """Every episode has five steps."""

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observe(action), 1.0, self.t >= 5, False, {}


class BoxedFives(Fives):
    """Actions are two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(np.float32([-1, -2]), np.float32([1, 2]))

    def step(self, action: Any) -> Any:
        return super().step(action[0])
