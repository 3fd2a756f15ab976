"""The task that a Minari dataset's metadata names; nothing is imported and no environment made."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, final

import gymnasium

from rldistill.runs import is_live_object

# What the descriptions of our own exports begin with; their facts follow as one JSON object.
OURS = "Collected by rldistill; "
# Whoever plays draws no pictures.
_NOT_OF_THE_TASK = ("render_mode",)


@final
@dataclass(frozen=True, slots=True)
class RecordedTask:
    """The task that a dataset says it is from.

    Attributes:
        id: a registered id; empty where no task is known.
        env_kwargs: keyword arguments of its constructor, those alone that differ from the
            registered ones, in plain JSON types.
        notes: what the dataset says besides and nobody will follow; one line each.
        unknown: why no task is known; empty where one is.
    """

    id: str = ""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
    unknown: str = ""


def recorded_task(metadata: Mapping[str, Any]) -> RecordedTask:
    """The task in the metadata of a Minari dataset.

    As in minari, the environment to evaluate in goes before the one that was collected in. Where
    neither is named, the description of an export of ours tells it, for tasks that envpool alone
    has; other tasks that gymnasium does not know were live objects.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: the metadata is damaged.

    >>> spec = '{"id": "Pendulum-v1", "kwargs": {"g": 3.0, "render_mode": "human"}}'
    >>> recorded_task({"env_spec": spec}).env_kwargs
    {'g': 3.0}
    """
    for name in ("eval_env_spec", "env_spec"):
        if metadata.get(name) is not None:
            return _from_spec(json.loads(metadata[name]))
    description = str(metadata.get("description") or "")
    if description.startswith(OURS) and "{" in description:
        told = json.loads(description[description.index("{") :])
        if told["backend"] == "envpool":
            return _checked(str(told["task"]), told["env_kwargs"], ())
    return RecordedTask(unknown="it names no environment")


def _from_spec(spec: Mapping[str, Any]) -> RecordedTask:
    task_id, given = str(spec["id"]), cast("dict[str, Any]", spec.get("kwargs") or {})
    registered = gymnasium.registry.get(task_id)
    usual = {} if registered is None else registered.kwargs
    own = {
        name: value
        for name, value in given.items()
        if name not in _NOT_OF_THE_TASK and (name not in usual or usual[name] != value)
    }
    notes: list[str] = []
    limit = spec.get("max_episode_steps")
    if registered is not None and limit not in (None, registered.max_episode_steps):
        notes.append(
            f"the dataset cuts episodes at {limit:,} steps; the task's own limit is played with"
        )
    if wrappers := [str(wrapper["name"]) for wrapper in spec.get("additional_wrappers") or ()]:
        notes.append(
            f"the dataset's wrappers are not applied: {', '.join(wrappers)} (--wrapper gives some)"
        )
    return _checked(task_id, own, tuple(notes))


def _checked(task_id: str, env_kwargs: dict[str, Any], notes: tuple[str, ...]) -> RecordedTask:
    if ":" in task_id or not task_id:  # "module:Id-v0" would import that module
        return RecordedTask(unknown=f"{task_id!r} is not the id of an environment")
    if odd := [name for name, value in env_kwargs.items() if not _is_plain(value)]:
        return RecordedTask(
            unknown=f"of {task_id}'s arguments, {', '.join(odd)} cannot be given from a file"
        )
    return RecordedTask(task_id, env_kwargs, notes)


def _is_plain(value: object) -> bool:
    """Whether a value that JSON gave is one that was written: no NaN, no name of a live object."""
    if isinstance(value, dict):
        return all(map(_is_plain, cast("dict[str, object]", value).values()))
    if isinstance(value, list):
        return all(map(_is_plain, cast("list[object]", value)))
    if isinstance(value, float):
        return math.isfinite(value)
    return not is_live_object(value)
