"""What the registry asks of multi-task students; one is registered as its policy in one task."""

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head
from rldistill.errors import SettingError
from rldistill.students.mlp import InputNormaliser
from rldistill.students.multitask import (
    MOST_TASKS,
    MultiTask,
    TaskView,
    count,
    listed,
    unknown_task,
)
from rldistill.students.multitask_parts import (
    Controller,
    MaskedControllers,
    Seat,
    seat_from_record,
    seat_to_record,
)
from rldistill.students.multitask_specs import MultiSpec
from rldistill.students.outputs import scale_linear

__all__ = [
    "build",
    "choose_task",
    "count",
    "details",
    "empty",
    "fit_inputs",
    "fold",
    "fresh",
    "scale_outputs",
]


def choose_task(record: Mapping[str, Any], task: str | None) -> dict[str, Any]:
    """The record of a student.json, about the task that is asked for.

    Raises:
        SettingError: it has no tasks and one is asked for, or the other way round; or no such task.
    """
    if not isinstance(record.get("tasks"), list):
        if task is not None:
            raise SettingError("task has no effect: this student has learnt one task")
        return dict(record)
    entries = cast("list[object]", record["tasks"])[: MOST_TASKS + 1]
    by_name = {
        str(entry.get("name"))[:80]: entry
        for entry in (cast("dict[str, Any]", e) for e in entries if isinstance(e, dict))
    }
    if task is None and len(by_name) == 1:
        task = next(iter(by_name))
    if task is None:
        raise SettingError(
            f"this student has {len(entries)} tasks: give task=NAME, one of {listed(list(by_name))}"
        )
    if task not in by_name:
        raise SettingError(unknown_task(task, list(by_name)))
    chosen = by_name[task]
    return {
        **record,
        "task_name": task,
        "observation_shape": chosen.get("observation_shape"),
        "head": chosen.get("head"),
    }


def build(spec: MultiSpec, observation_space: spaces.Box, head: Head) -> TaskView:
    """An untrained network with one task, called "task"."""
    return TaskView(MultiTask(spec, [Seat.of("task", observation_space, head, None)]), 0)


def fresh(view: TaskView) -> TaskView:
    """An untrained network with the spec and tasks of another."""
    return TaskView(MultiTask(view.network.spec, view.network.seats), view.task)


def fit_inputs(view: TaskView, observations: Tensor) -> None:
    """Fit the input normaliser of the view's task, where the trunk has one."""
    entrance = view.network.entrances[view.task if len(view.network.entrances) > 1 else 0]
    for layer in entrance.modules():
        if isinstance(layer, InputNormaliser):
            layer.fit(observations)


def scale_outputs(view: TaskView, factor: float) -> None:
    """Multiply the raw outputs of the view's task by a number, in place.

    Raises:
        SettingError: its last layer is that of other tasks too.
    """
    controllers = view.network.controllers
    if isinstance(controllers, MaskedControllers):
        raise SettingError("a masked head is shared by all tasks: it cannot be scaled for one")
    assert isinstance(controllers, nn.ModuleList), "made by MultiTask"
    controller = controllers[view.task]
    assert isinstance(controller, Controller), "made by MultiTask"
    scale_linear(controller.layers[-1], factor)


def fold(view: TaskView) -> TaskView:
    """A copy on the CPU: normalisers of several tasks cannot be folded into one layer."""
    return copy.deepcopy(view).cpu().requires_grad_(False)


def details(view: TaskView) -> dict[str, Any]:
    """All tasks; which one the file's observation_shape and head are about."""
    return {
        "tasks": [seat_to_record(seat) for seat in view.network.seats],
        "task_name": view.seat.name,
    }


def empty(
    spec: MultiSpec, observation_shape: tuple[int, ...], head: Head, record: Mapping[str, Any]
) -> TaskView:
    """The network of a student.json, on the meta device.

    Raises:
        SettingError, TaskError: tasks or task are missing, wrong or do not fit the trunk.
    """
    entries, name = record.get("tasks"), record.get("task_name")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_TASKS:
        raise SettingError("tasks is missing or is not what it should be")
    seats = [seat_from_record(entry) for entry in entries]
    names = [seat.name for seat in seats]
    if not isinstance(name, str) or name not in names or len(set(names)) < len(names):
        raise SettingError("task_name is missing or is none of the tasks")
    seat = seats[names.index(name)]
    if (seat.shape, seat.head) != (observation_shape, head):
        raise SettingError("observation_shape and head are not those of the task")
    with torch.device("meta"):
        return TaskView(MultiTask(spec, seats), names.index(name))
