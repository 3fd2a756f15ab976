"""Environments stepped in C++ by envpool; the only file that imports it (1 s: when first used)."""

import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.envs.spec import TaskSpec, resolve_limit
from rldistill.envs.vector import Opened, RawStep
from rldistill.errors import TaskError, did_you_mean, pip_line, require

Array = np.ndarray[Any, Any]

# Ids whose envpool and gymnasium versions gave the same mean returns and lengths, of trained, of
# half random and of random policies (tests/envs/test_equivalence.py, slow; benchmarks/backends.md).
# Only these are chosen by backend "auto"; an id enters this table by passing there.
EQUIVALENT_IDS = frozenset(
    {
        "Acrobot-v1",
        "BipedalWalker-v3",
        "CartPole-v1",
        "HalfCheetah-v4",
        "Hopper-v4",
        "LunarLander-v3",
        "LunarLanderContinuous-v3",
        "MountainCar-v0",
        "Pendulum-v1",
        "Swimmer-v4",
    }
)

# Added to what envpool observes, to get what gymnasium observes. Its moon is smoothed by the mean
# of three heights and gymnasium's by 0.33 of their sum, so its landing pad, at a quarter of the
# picture, is 1 % higher; heights are observed in halves of the picture: 0.01 / 4 * 2 = 0.005.
# Source: gymnasium 1.4.0 and envpool 1.2.5; benchmarks/backends.md has what it does to returns.
_LUNAR_LANDER = np.array([0, -0.005, 0, 0, 0, 0, 0, 0], np.float32)
_SHIFTS = {
    f"LunarLander{kind}-{version}": _LUNAR_LANDER
    for kind in ("", "Continuous")
    for version in ("v2", "v3")
}

# Set by this library, or of no meaning in a batch that is stepped together.
_OWN_SETTINGS = frozenset(
    {
        "num_envs", "batch_size", "num_threads", "max_num_players", "thread_affinity_offset",
        "base_path", "seed", "env_seed", "gym_reset_return_info", "max_episode_steps",
    }
)  # fmt: skip
_NO_LIMIT = 2**31 - 1


@final
class EnvpoolSimulator:
    """envpool's gymnasium interface, all environments in one batch.

    Only a new pool can be seeded, so a reset with a seed makes one. `shift` is added to every
    observation, where the task needs one; None for those that do not.
    """

    def __init__(
        self,
        make_pool: Callable[[int], Any],
        num_envs: int,
        seed: int,
        shift: Array | None = None,
    ) -> None:
        self._make_pool = make_pool
        self._shift = shift
        self._open(seed)
        self._fresh: int | None = seed
        self._awake: Array | None = None  # ids of those that are stepped; None: all of them
        self._last: Any = None
        self.num_envs = num_envs
        self.observation_space: spaces.Space[Any] = self._pool.observation_space
        self.action_space: spaces.Space[Any] = self._pool.action_space

    def _open(self, seed: int) -> None:
        self._pool = self._make_pool(seed)
        with warnings.catch_warnings():
            # Made when first asked for, its spaces announce a loss of float64 precision.
            warnings.simplefilter("ignore")
            _ = self._pool.observation_space, self._pool.action_space

    def reset(self, seed: int | None) -> Any:
        """First observations; env i is seeded seed + i, None goes on with what there is."""
        if seed is not None and seed != self._fresh:
            self._pool.close()
            self._open(seed)
        self._fresh, self._awake = None, None
        observations, _ = self._pool.reset()
        self._last = self._shifted(observations)
        return self._last

    def step(self, actions: Array) -> RawStep:
        if self._awake is not None:
            return self._step_some(actions, self._awake)
        observations, rewards, terminated, truncated, _ = self._pool.step(actions)
        self._last = self._shifted(observations)
        return self._last, rewards, terminated, truncated

    def rest(self, resting: Array) -> None:
        """Leave these alone; a pool steps any subset of its environments."""
        if isinstance(self._last, np.ndarray):
            self._awake = np.flatnonzero(~resting).astype(np.int32)

    def _step_some(self, actions: Array, awake: Array) -> RawStep:
        observations: Array = self._last.copy()
        rewards = np.zeros(self.num_envs, np.float32)
        ends = np.zeros((2, self.num_envs), np.bool_)
        if len(awake):
            some, reward, terminated, truncated, info = self._pool.step(actions[awake], awake)
            ids = info["env_id"]
            observations[ids], rewards[ids] = self._shifted(some), reward
            ends[0, ids], ends[1, ids] = terminated, truncated
        self._last = observations
        return observations, rewards, ends[0], ends[1]

    def _shifted(self, observations: Any) -> Any:
        return observations if self._shift is None else observations + self._shift

    def close(self) -> None:
        self._pool.close()


def is_installed() -> bool:
    """Whether envpool can be imported, without importing it."""
    return importlib.util.find_spec("envpool") is not None


def task_ids() -> list[str]:
    """Every id that envpool has; empty where it is not installed. Imports envpool."""
    return list(require("envpool", extra="fast").list_all_envs()) if is_installed() else []


def objection(task: TaskSpec) -> str | None:
    """Why backend "auto" does not take envpool for this task; None if it does."""
    if task.is_live:
        return "the environment is a live object"
    if task.wrapper or task.imports:
        return "a wrapper or an imported module needs gymnasium environments"
    if any(view.draws for view in task.views):
        return "envpool's tasks do not draw themselves, and a view is of pixels"
    if task.id not in EQUIVALENT_IDS:
        return "envpool is not shown to be the same task"
    if task.env_kwargs:
        return "envpool is shown to be the same task only without env_kwargs"
    if not is_installed():
        return f"envpool is not installed; for faster steps: {pip_line('fast')}"
    return None


def open_envpool(task: TaskSpec, num_envs: int, seed: int) -> Opened:
    """Make the task with envpool; env i is seeded seed + i.

    Raises:
        MissingExtraError: envpool is not installed.
        TaskError: envpool does not have this id or one of its keyword arguments.
    """
    module = require("envpool", extra="fast")
    if task.id not in (known := module.list_all_envs()):
        raise TaskError(
            f"envpool has no task {task.id!r}.{did_you_mean(task.id, known)} "
            "Backend 'gymnasium' takes any registered id"
        )
    spec = module.make_spec(task.id)
    if type(spec).__name__.startswith("Atari"):
        raise TaskError(f"{task.id} is an Atari task: backend 'envpool' does not serve these")
    _check_kwargs(task.id, task.env_kwargs, [str(key) for key in spec._config_keys])
    declared = int(spec.config.max_episode_steps)
    has_limit = 0 < declared < _NO_LIMIT
    limit, notes = resolve_limit(task.max_episode_steps, declared if has_limit else None)
    kwargs, shift = task.env_kwargs, _SHIFTS.get(task.id)
    if shift is not None:
        notes = (
            *notes,
            "envpool's moon is higher than gymnasium's; observed heights make up for it",
        )

    def make_pool(seed: int) -> Any:
        return module.make_gymnasium(
            task.id,
            num_envs=num_envs,
            seed=seed,
            num_threads=min(num_envs, _usable_cores()),
            max_episode_steps=limit,
            **kwargs,
        )

    return Opened(
        simulator=EnvpoolSimulator(make_pool, num_envs, seed, shift),
        task_id=task.id,
        backend="envpool",
        max_episode_steps=limit,
        equal_starts=True,
        notes=notes,
    )


def _check_kwargs(task_id: str, given: Mapping[str, Any], settings: list[str]) -> None:
    known = sorted(set(settings) - _OWN_SETTINGS)
    for name in given:
        if name not in known:
            raise TaskError(
                f"envpool's {task_id} has no keyword argument {name!r}."
                f"{did_you_mean(name, known)} It takes {', '.join(known) or 'none'}; "
                "backend 'gymnasium' takes those of the gymnasium environment"
            )


def _usable_cores() -> int:
    """Cores that this process may run on; envpool itself would count those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
