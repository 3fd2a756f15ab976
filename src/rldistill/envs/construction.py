"""One gymnasium environment from an id or a factory, and clear words where that fails."""

import importlib
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium import error as gymnasium_error
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.wrappers import TimeLimit

from rldistill.envs import envpool
from rldistill.envs.spec import EnvFactory, TaskSpec, resolve_limit
from rldistill.envs.wrappers import import_user_module, parse_wrapper
from rldistill.errors import (
    EnvironmentFailure,
    MissingExtraError,
    RldistillError,
    SettingError,
    TaskError,
    did_you_mean,
    pip_line,
)

Env = gymnasium.Env[Any, Any]

MODE = "rgb_array"  # in which an environment gives its pictures

# Part of the entry point, the module that must be there, the extra that brings it.
_EXTRAS = (("envs.box2d", "Box2D", "box2d"), ("envs.mujoco", "mujoco", "mujoco"))
# What gymnasium registers in place of environments that it gave away.
_MOVED = "_raise_mujoco_py_error"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m(WARN: )?")


def build_env(task: TaskSpec) -> tuple[Env, int, tuple[str, ...]]:
    """A new environment of this task, its step limit, and notes.

    Raises:
        TaskError: the id is unknown, or its environment cannot be made with these arguments.
        MissingExtraError: the id needs a package that is not installed.
        EnvironmentFailure: the environment, its factory or its wrapper raised.
    """
    if task.factory is not None:
        env, limit, notes = _from_factory(task.factory, task.max_episode_steps)
    else:
        spec = find_spec(task.id)
        limit, notes = resolve_limit(task.max_episode_steps, spec.max_episode_steps)
        env = _from_spec(spec, limit, task)
    return (env if task.wrapper is None else _wrapped(env, task.wrapper)), limit, notes


def find_spec(task_id: str) -> EnvSpec:
    """The registered environment of this id, which may be "module:Id-v0".

    Raises:
        TaskError: no environment of this exact id is registered.
    """
    module, _, name = task_id.rpartition(":")
    if module:
        import_user_module(module, what=f"task {task_id!r}")
    registered: dict[str, EnvSpec] = gymnasium.registry
    if name in registered:
        return registered[name]
    raise TaskError(
        f"no task {name!r} is registered with gymnasium.{_where_else(name, registered)} "
        "If a package registers it, name that package's module as an import"
    )


def _where_else(name: str, registered: Iterable[str]) -> str:
    """A sentence on where an unknown id may be found."""
    if name.startswith("ALE/") or "NoFrameskip" in name:
        return f" Atari tasks: {pip_line('atari')} and import ale_py (--import ale_py)."
    in_envpool = envpool.task_ids()
    if others := _other_versions(name, registered) + _from_envpool(name, in_envpool):
        return f" There is {' or '.join(others)}."
    if near := did_you_mean(name, registered):
        return near
    near = did_you_mean(name, in_envpool)
    return f"{near} (These need backend 'envpool'.)" if near else ""


def _other_versions(task_id: str, registered: Iterable[str]) -> list[str]:
    """The ids that can be made and differ from this one in their version alone, oldest first."""
    stem, _, version = task_id.rpartition("-v")
    if not stem or not version.isdecimal():
        return []
    same = re.compile(re.escape(stem) + r"-v\d{1,9}")
    found = [x for x in registered if x != task_id and same.fullmatch(x) and not _has_moved(x)]
    return sorted(found, key=lambda one: int(one.rpartition("-v")[2]))


def _from_envpool(task_id: str, in_envpool: Iterable[str]) -> list[str]:
    return [f"envpool's {task_id} (--backend envpool)"] if task_id in in_envpool else []


def _has_moved(task_id: str) -> bool:
    """Whether gymnasium registers this id only to say that it does not have it any more."""
    registered: dict[str, EnvSpec] = gymnasium.registry
    entry: Any = registered[task_id].entry_point
    return getattr(entry, "__name__", "") == _MOVED


def _from_spec(spec: EnvSpec, limit: int, task: TaskSpec) -> Env:
    kwargs = {"render_mode": MODE} if draws(task) else {}
    try:
        return gymnasium.make(
            spec, max_episode_steps=limit, disable_env_checker=True, **{**kwargs, **task.env_kwargs}
        )
    except RldistillError:
        raise
    except (gymnasium_error.Error, ImportError) as error:
        raise _missing_or_refused(spec, error) from error
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise _creation_failed(spec.id, error) from error
        raise TaskError(
            f"{spec.id}: env_kwargs {dict(task.env_kwargs)} are not accepted."
            f"{_near_keywords(spec, task)} Original: {error}"
        ) from error
    except Exception as error:
        raise _creation_failed(spec.id, error) from error


def draws(task: TaskSpec) -> bool:
    """Whether a view is of the states drawn."""
    return any(view.draws for view in task.views)


def _missing_or_refused(spec: EnvSpec, error: Exception) -> RldistillError:
    entry = _entry_point(spec)
    if _has_moved(spec.id):
        others = _other_versions(spec.id, gymnasium.registry)
        others += _from_envpool(spec.id, envpool.task_ids())
        where = f" There is {' or '.join(others)}" if others else ""
        return TaskError(f"gymnasium does not have {spec.id} any more.{where}")
    for part, module, extra in _EXTRAS:
        if part in entry and importlib.util.find_spec(module) is None:
            return MissingExtraError(
                f"{spec.id} needs {module}, which is not installed; run: {pip_line(extra)}"
            )
    return TaskError(f"gymnasium cannot make {spec.id}: {error}")


def _entry_point(spec: EnvSpec) -> str:
    entry = spec.entry_point
    return entry if isinstance(entry, str) else getattr(entry, "__module__", "")


def _near_keywords(spec: EnvSpec, task: TaskSpec) -> str:
    creator: Any = spec.entry_point
    parameters = inspect.signature(
        load_env_creator(creator) if isinstance(creator, str) else creator
    )
    known = [name for name in parameters.parameters if name not in ("self", "kwargs")]
    return "".join(did_you_mean(name, known) for name in task.env_kwargs if name not in known)


def _from_factory(factory: EnvFactory, asked: int | None) -> tuple[Env, int, tuple[str, ...]]:
    name = getattr(factory, "__name__", type(factory).__name__)
    try:
        env: Any = factory()
    except RldistillError:
        raise
    except Exception as error:
        raise _creation_failed(f"factory {name}", error) from error
    if not isinstance(env, gymnasium.Env):
        raise TaskError(
            f"factory {name} must return a gymnasium.Env; got {type(env).__module__}."
            f"{type(env).__name__}"
        )
    declared = None if env.spec is None else env.spec.max_episode_steps
    if asked is not None and declared is not None and asked > declared:
        raise SettingError(
            f"max_episode_steps {asked} has no effect: factory {name} makes environments that "
            f"are cut at {declared} steps; raise it there"
        )
    limit, notes = resolve_limit(asked, declared)
    return (env if limit == declared else TimeLimit(env, limit)), limit, notes


def _wrapped(env: Env, text: str) -> Env:
    wrap = parse_wrapper(text)
    try:
        wrapped: Any = wrap(env)
    except Exception as error:
        raise _creation_failed(f"wrapper {text!r}", error) from error
    if not isinstance(wrapped, gymnasium.Env):
        raise TaskError(
            f"wrapper {text!r} must return a gymnasium.Env; got {type(wrapped).__name__}"
        )
    return wrapped


def _creation_failed(what: str, error: Exception) -> EnvironmentFailure:
    return EnvironmentFailure(f"{what} raised when called: {type(error).__name__}: {error}")


@contextmanager
def quietly(task: TaskSpec, notes: list[str]) -> Generator[None]:
    """Turn what B environments warn of while they are made into one note each.

    Deprecations and MuJoCo's remarks on old model files (printed once per environment, and written
    to a file in the current folder) are dropped: the user cannot act on them here.
    """
    mujoco = _mujoco_of(task)
    handler = None if mujoco is None else mujoco.get_mju_user_warning()
    if mujoco is not None:
        mujoco.set_mju_user_warning(lambda message: None)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        if mujoco is not None:
            mujoco.set_mju_user_warning(handler)
    for warning in caught:
        text = _COLOURS.sub("", str(warning.message)).strip().splitlines()[0]
        if not issubclass(warning.category, DeprecationWarning) and text not in notes:
            notes.append(text)


def _mujoco_of(task: TaskSpec) -> ModuleType | None:
    """The mujoco package where this task will use it, imported before its first remark."""
    named = not task.is_live and "mujoco" in _entry_point(find_spec(task.id))
    if named and importlib.util.find_spec("mujoco") is not None:
        importlib.import_module("mujoco")
    module = sys.modules.get("mujoco")
    return module if hasattr(module, "set_mju_user_warning") else None
