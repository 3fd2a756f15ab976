"""Small environments whose numbers tell what happened, and some that misbehave."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Counting(gymnasium.Env):
    """Observes [episode, step, last action, start]; the reward is the step; ends after `length`.

    start is drawn from the seeded generator. The action of the observation is -1 after a reset.
    """

    def __init__(self, length: int = 5, ends: str = "terminated") -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.length, self.ends = length, ends
        self.episode, self.resets = -1, 0

    def observe(self, action: float) -> Any:
        return np.array([self.episode, self.t, action, self.start], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        # A seeded reset begins anew, so that equal seeds give equal episodes.
        self.episode = self.episode + 1 if seed is None else 0
        self.t, self.start = 0, self.np_random.random()
        return self.observe(-1), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        over = self.t >= self.length
        terminated = over and self.ends in ("terminated", "both")
        truncated = over and self.ends in ("truncated", "both")
        return self.observe(action), float(self.t), terminated, truncated, {}


class NeverEnding(Counting):
    """Counting that never ends by itself."""

    def __init__(self) -> None:
        super().__init__(length=10**9)


class EndsOnce(Counting):
    """The first episode ends after five steps, the next one never."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        first = super().reset(seed=seed)
        self.length = 5 if self.episode == 0 else 10**9
        return first


class StartsAtThree(Counting):
    """Actions are 3, 4, 5."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Discrete(3, start=3)


class Doubles(Counting):
    """float64 observations."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)

    def observe(self, action: float) -> Any:
        return super().observe(action).astype(np.float64) + 1e-12


class Observes(Counting):
    """Samples of any given space, drawn from the seeded generator of the space."""

    def __init__(self, space: spaces.Space[Any]) -> None:
        super().__init__()
        self.observation_space = space
        self.seen: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.observation_space.seed(seed)
        return super().reset(seed=seed)

    def observe(self, action: float) -> Any:
        self.seen.append(self.observation_space.sample())
        return self.seen[-1]


class Moves(Counting):
    """Records the Box actions it was given."""

    def __init__(self, space: spaces.Box) -> None:
        super().__init__()
        self.action_space = space
        self.actions: list[Any] = []

    def step(self, action: Any) -> Any:
        self.actions.append(np.array(action))
        observation, reward, terminated, truncated, info = super().step(0)
        return observation, reward, terminated, truncated, info


class Raises(Counting):
    """Raises in step `at` of its life since the last seeded reset (0: in the reset)."""

    def __init__(self, at: int) -> None:
        super().__init__(length=10**9)
        self.at = at

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self.at == 0:
            raise RuntimeError("no start today")
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        if self.t + 1 == self.at:
            raise ZeroDivisionError("the pole is gone")
        return super().step(action)


class Diverges(Counting):
    """Returns `value` from step `at` on, as an observation or as a reward."""

    def __init__(self, at: int, what: str, value: float = np.nan) -> None:
        super().__init__(length=10**9)
        self.at, self.what, self.value = at, what, value

    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        if self.t >= self.at and self.what == "observation":
            observation[2] = self.value
        return (
            observation,
            self.value if self.t >= self.at and self.what == "reward" else reward,
            *rest,
        )


class Unseeded(Counting):
    """Ignores its seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=None)


class WrongShape(Counting):
    """Observes five numbers and declares four."""

    def observe(self, action: float) -> Any:
        return np.zeros(5, np.float32)


class Shout(gymnasium.RewardWrapper):
    """Ten times the reward."""

    def reward(self, reward: Any) -> float:
        return 10.0 * reward


def shout(env: gymnasium.Env) -> gymnasium.Env:
    """A wrapper function, as a user would write it."""
    return Shout(env)


def not_an_env(env: gymnasium.Env) -> str:
    """A wrapper that returns the wrong thing."""
    return "env"


def broken(env: gymnasium.Env) -> gymnasium.Env:
    """A wrapper that raises."""
    raise KeyError("gone")


NUMBER = 3
