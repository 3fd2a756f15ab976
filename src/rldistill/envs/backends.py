"""make(task, num_envs, seed): one vector environment, on the backend that fits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium

from rldistill.envs import envpool
from rldistill.envs.atari import is_atari, open_atari
from rldistill.envs.gymnasium import open_gymnasium
from rldistill.envs.live import open_live
from rldistill.envs.minatar import is_minatar, open_minatar
from rldistill.envs.spec import EnvFactory, TaskSpec
from rldistill.envs.vector import NormalisedVectorEnv, Opened, Step, VectorEnv
from rldistill.envs.wrappers import import_user_module
from rldistill.errors import SettingError, TaskError

__all__ = ["Step", "TaskSource", "VectorEnv", "make", "task_spec"]

TaskSource = TaskSpec | str | EnvFactory | gymnasium.vector.VectorEnv[Any, Any, Any]

_LARGEST_SEED = 2**31 - 1  # envpool keeps seeds in 32 bits; one rule for all backends


def make(task: TaskSource, num_envs: int, seed: int) -> VectorEnv:
    """B environments of a task behind one interface, whatever steps them.

    Args:
        task: a TaskSpec, a registered id, a factory of environments, or a live
            gymnasium.vector.VectorEnv.
        num_envs: B, how many environments, >= 1.
        seed: env i is seeded seed + i, 0 <= seed < 2**31 - num_envs. The same seed gives the same
            first episodes wherever info.equal_starts says so.

    Raises:
        TaskError: the task is unknown, or its spaces are not served.
        SettingError: a setting is unknown, out of range or without effect.
        MissingExtraError: a package is missing; the message has the line that installs it.
        EnvironmentFailure: an environment raised when it was made.

    >>> with make("CartPole-v1", num_envs=2, seed=0) as envs:
    ...     envs.reset().shape, envs.info.action_space
    ((2, 4), Discrete(2))
    """
    spec = task_spec(task)
    if num_envs < 1:
        raise SettingError(f"num_envs must be >= 1; got {num_envs}")
    if not 0 <= seed <= _LARGEST_SEED - num_envs:
        raise SettingError(f"seed must lie in 0..2**31 - 1 - num_envs; got {seed}")
    for module in spec.imports:
        import_user_module(module)
    opened = _open(spec, num_envs, seed)
    try:
        return NormalisedVectorEnv(opened, seed, spec)
    except Exception:
        opened.simulator.close()
        raise


def task_spec(source: TaskSource) -> TaskSpec:
    """The TaskSpec of whatever names a task.

    Raises:
        TaskError: the object is something else, such as a single live environment.
    """
    if isinstance(source, TaskSpec):
        return source
    if isinstance(source, str):
        return TaskSpec(id=source)
    if isinstance(source, gymnasium.vector.VectorEnv):
        return TaskSpec(vector_env=source)
    if callable(source) and not isinstance(source, gymnasium.Env):
        return TaskSpec(factory=source)
    raise TaskError(
        "a task is an id, a TaskSpec, a gymnasium.vector.VectorEnv or a function that makes a new "
        f"gymnasium.Env; got {type(source).__module__}.{type(source).__name__}. A single live "
        "environment cannot be copied: give lambda: gymnasium.make(...)"
    )


def _open(task: TaskSpec, num_envs: int, seed: int) -> Opened:
    open_backend, note = _choose(task)
    opened = open_backend(task, num_envs, seed)
    return replace(opened, notes=(note, *opened.notes))


def _choose(task: TaskSpec) -> tuple[Callable[[TaskSpec, int, int], Opened], str]:
    """The backend, and one line on why."""
    if task.vector_env is not None:
        return open_live, "gymnasium: the environment is a live object"
    if task.backend == "gymnasium":
        return open_gymnasium, "gymnasium: as asked"
    if task.backend == "envpool":
        if task.imports:
            raise SettingError("imports have no effect on backend 'envpool'; leave one of them out")
        known = task.id in envpool.EQUIVALENT_IDS
        doubt = "" if known else "; not shown to be the same task as gymnasium's"
        return envpool.open_envpool, f"envpool: as asked{doubt}"
    if (own := _of_its_own(task)) is not None:
        return own
    objection = envpool.objection(task)
    if objection is not None:
        return open_gymnasium, f"gymnasium: {objection}"
    return (
        envpool.open_envpool,
        "envpool: faster; mean returns agree with gymnasium's, see docs/decisions.md",
    )


def _of_its_own(task: TaskSpec) -> tuple[Callable[[TaskSpec, int, int], Opened], str] | None:
    """The backend of ids that one backend alone serves as they are played; None for others.

    Raises:
        TaskError: that backend is asked for, and the id is another one's.
    """
    plain = not task.is_live and task.wrapper is None
    if plain and is_atari(task.id) and task.backend in ("auto", "ale"):
        return open_atari, "ale: Atari with the standard preprocessing"
    if plain and is_minatar(task.id) and task.backend in ("auto", "minatar"):
        return open_minatar, "minatar: the games of the package itself"
    if task.backend in ("ale", "minatar"):
        form = "ALE/Pong-v5" if task.backend == "ale" else "MinAtar/Breakout-v1"
        raise TaskError(
            f"backend {task.backend!r} does not serve {task.id!r}: its tasks are named as {form} is"
        )
    return None
