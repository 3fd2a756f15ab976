"""A gymnasium.vector.VectorEnv that the user made and owns."""

import copy
import warnings
from collections.abc import Callable
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from rldistill.envs.construction import MODE
from rldistill.envs.gymnasium import name_of, pictures, starts_repeat
from rldistill.envs.seeing import PIXELS
from rldistill.envs.spec import TaskSpec, resolve_limit
from rldistill.envs.vector import Opened, RawStep
from rldistill.errors import EnvironmentFailure, SettingError, TaskError

Array = np.ndarray[Any, Any]
GymnasiumVectorEnv = gymnasium.vector.VectorEnv[Any, Any, Any]


@final
class LiveSimulator:
    """The user's vector environment, with a guard against episodes that never end."""

    def __init__(self, vector_env: GymnasiumVectorEnv, limit: int) -> None:
        self._vector_env, self._limit = vector_env, limit
        self.num_envs = vector_env.num_envs
        self.observation_space: spaces.Space[Any] = vector_env.single_observation_space
        self.action_space: spaces.Space[Any] = vector_env.single_action_space
        self._length = np.zeros(self.num_envs, np.int64)  # steps since the last end

    def reset(self, seed: int | None) -> Any:
        self._length[:] = 0
        # A vector environment may write its next observations into the same arrays: copy them.
        return copy.deepcopy(self._vector_env.reset(seed=seed)[0])

    def step(self, actions: Array) -> RawStep:
        raw, rewards, terminated, truncated, _ = self._vector_env.step(actions)
        self._length = np.where(np.logical_or(terminated, truncated), -1, self._length + 1)
        if self._length.max() > self._limit:
            raise EnvironmentFailure(
                f"environment number {self._length.argmax() + 1} of {self.num_envs} has not ended "
                f"its episode in {self._limit:,} steps; give it a gymnasium.wrappers.TimeLimit, or "
                "a higher max_episode_steps"
            )
        return copy.deepcopy(raw), np.array(rewards), np.array(terminated), np.array(truncated)

    def shows(self) -> dict[str, Callable[[], Array]]:
        """What can be looked at besides observations: pictures, where it draws them."""
        if self._vector_env.render_mode != MODE:
            return {}
        return {PIXELS: self._pictures}

    def _pictures(self) -> Array:
        drawn: Any = self._vector_env.render()
        return pictures(drawn)

    def rest(self, resting: Array) -> None:
        """Nothing: a vector environment of others steps all its environments or none."""
        del resting

    def close(self) -> None:
        """Nothing: who made the vector environment closes it."""


def open_live(task: TaskSpec, num_envs: int, seed: int) -> Opened:
    """Take a live vector environment; it is reset with this seed.

    Raises:
        TaskError: its autoreset is not NEXT_STEP.
        SettingError: it has another number of environments.
    """
    vector_env = task.vector_env
    assert vector_env is not None
    mode: Any = (vector_env.metadata or {}).get("autoreset_mode")
    if mode not in (AutoresetMode.NEXT_STEP, AutoresetMode.NEXT_STEP.value):
        raise TaskError(
            "a live vector environment must have metadata['autoreset_mode'] NEXT_STEP (other modes "
            f"hide or skip the last observation of an episode); this one has {mode}"
        )
    if num_envs != vector_env.num_envs:
        raise SettingError(
            f"the live vector environment has {vector_env.num_envs} environments; num_envs "
            f"{num_envs} has no effect on it"
        )
    spec: Any = vector_env.spec
    declared = spec.max_episode_steps if isinstance(spec, EnvSpec) else None
    limit, _ = resolve_limit(task.max_episode_steps, declared)
    actions = batch_space(vector_env.single_action_space, num_envs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # envpool's says that it ignores the seed of a reset
        equal = starts_repeat(vector_env, actions, seed)
    simulator = LiveSimulator(vector_env, limit)
    return Opened(
        simulator=simulator,
        task_id=task.id or name_of(vector_env),
        backend="gymnasium",
        max_episode_steps=limit,
        equal_starts=equal,
        notes=("your own vector environment: stepped as it is, and left open",),
        shows=simulator.shows(),
    )
