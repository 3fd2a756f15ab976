"""Many games at once on ale-py's AtariVectorEnv (C++); lives and rewards as tasks have them."""

from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.envs.atari_settings import AtariSettings
from rldistill.envs.vector import RawStep

Array = np.ndarray[Any, Any]


@final
class AtariVectorSimulator:
    """AtariVectorEnv with NEXT_STEP autoreset, and what it lacks: see AtariSettings.

    After a lost life the next action is replaced where the settings say so, by FIRE or, where the
    life ended the episode, by doing nothing; the frame that this shows begins a new stack.
    """

    def __init__(self, vector_env: Any, settings: AtariSettings, fire: int | None) -> None:
        self._vector_env, self._settings = vector_env, settings
        self.num_envs = int(vector_env.num_envs)
        self.observation_space: spaces.Space[Any] = vector_env.single_observation_space
        self.action_space: spaces.Space[Any] = vector_env.single_action_space
        self._watches_lives = settings.fire_after_life or settings.episodic_life
        # What is done after a lost life; 0 is NOOP in every action set.
        self._after_life = fire if settings.fire_after_life and fire is not None else 0
        self._lives = np.zeros(self.num_envs, np.int32)
        self._lost = np.zeros(self.num_envs, np.bool_)  # a life, in the step before
        self._age = np.full(self.num_envs, settings.stack_num)  # frames since the stack was cleared

    def reset(self, seed: int | None) -> Any:
        observations, info = self._vector_env.reset(seed=seed)
        self._lives = np.array(info["lives"])
        self._lost[:] = False
        self._age[:] = self._settings.stack_num
        return observations

    def send(self, actions: Array) -> None:
        """Let the emulators work; receive() waits for them."""
        if self._lost.any():
            actions = np.where(self._lost, self._after_life, actions)
        self._vector_env.send(actions)

    def receive(self) -> RawStep:
        """What became of the actions that were sent."""
        observations, rewards, terminated, truncated, info = self._vector_env.recv()
        if self._watches_lives:
            observations = self._cleared(observations)
            lives = np.array(info["lives"])
            self._lost = (lives < self._lives) & ~terminated & ~truncated & (lives > 0)
            self._lives = lives
            if self._settings.episodic_life:
                terminated = terminated | self._lost
        if self._settings.reward_clipping:
            rewards = np.clip(rewards, -1, 1)
        return observations, rewards, terminated, truncated

    def step(self, actions: Array) -> RawStep:
        self.send(actions)
        return self.receive()

    def rest(self, resting: Array) -> None:
        """Nothing: the C++ side steps all its environments or none."""
        del resting

    def close(self) -> None:
        self._vector_env.close()

    def _cleared(self, observations: Array) -> Array:
        """Without the frames before the latest clearing of each stack."""
        depth = self._settings.stack_num
        self._age = np.where(self._lost, 1, np.minimum(self._age + 1, depth))
        for index in np.flatnonzero(self._age < depth):
            observations[index, : depth - self._age[index]] = 0
        return observations
