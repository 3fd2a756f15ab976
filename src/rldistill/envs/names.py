"""What the numbers of an observation and the actions are called, where a task's makers say."""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from rldistill.envs.spec import TaskInfo


class Name(NamedTuple):
    """What a number is called, and its unit; "" where it has none or none is known."""

    name: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


_LANDER = (
    Name("x", "half widths"),
    Name("y", "half heights"),
    Name("x velocity"),
    Name("y velocity"),
    Name("angle", "rad"),
    Name("angular velocity"),
    Name("left leg touches"),
    Name("right leg touches"),
)
_LIDAR = tuple(Name(f"lidar {i + 1}", "share of range") for i in range(10))
_LEG = ("hip angle", "hip speed", "knee angle", "knee speed", "touches the ground")
_WALKER = (
    Name("hull angle", "rad"),
    Name("hull angular velocity"),
    Name("x velocity"),
    Name("y velocity"),
    *(Name(f"{part}, leg {leg}") for leg in (1, 2) for part in _LEG),
    *_LIDAR,
)
# By the stem of the id. Source: the tables of gymnasium's documentation. Numbers that a task scales
# have no unit here.
_FEATURES: dict[str, tuple[Name, ...]] = {
    "Acrobot": (
        Name("cos angle 1"),
        Name("sin angle 1"),
        Name("cos angle 2"),
        Name("sin angle 2"),
        Name("angular velocity 1", "rad/s"),
        Name("angular velocity 2", "rad/s"),
    ),
    "BipedalWalker": _WALKER,
    "BipedalWalkerHardcore": _WALKER,
    "CartPole": (
        Name("cart position", "m"),
        Name("cart velocity", "m/s"),
        Name("pole angle", "rad"),
        Name("pole angular velocity", "rad/s"),
    ),
    "LunarLander": _LANDER,
    "LunarLanderContinuous": _LANDER,
    "MountainCar": (Name("position"), Name("velocity", "per step")),
    "MountainCarContinuous": (Name("position"), Name("velocity", "per step")),
    "Pendulum": (Name("cos angle"), Name("sin angle"), Name("angular velocity", "rad/s")),
}
_ACTIONS: dict[str, tuple[str, ...]] = {
    "Acrobot": ("torque -1", "no torque", "torque +1"),
    "CartPole": ("push left", "push right"),
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
    "LunarLanderContinuous": ("main engine", "side engines"),
    "MountainCar": ("left", "nothing", "right"),
    "MountainCarContinuous": ("force",),
    "Pendulum": ("torque",),
}


def feature_names(info: TaskInfo) -> tuple[Name, ...]:
    """One name per number of a flat observation; empty where observations are pixels.

    Known tasks have the names of their documentation, entries of a Dict or Tuple those of the
    space, everything else its number.
    """
    shape = info.observation_space.shape
    if len(shape) != 1:
        return ()
    known = _FEATURES.get(_stem(info.id), ())
    if len(known) == shape[0]:
        return known
    names = [Name(f"number {i}") for i in range(shape[0])]
    for part in info.observation_parts:
        for i in range(part.start, part.stop):
            inside = f"[{i - part.start}]" if part.stop - part.start > 1 else ""
            names[i] = Name(f"{part.name}{inside}")
    return tuple(names)


def action_names(info: TaskInfo) -> tuple[str, ...]:
    """One name per action, or per component of a continuous one."""
    space = info.action_space
    count = int(space.n) if isinstance(space, spaces.Discrete) else int(np.prod(space.shape))
    known = _ACTIONS.get(_stem(info.id), ())
    if len(known) == count:
        return known
    kind = "action" if isinstance(space, spaces.Discrete) else "component"
    return tuple(f"{kind} {i}" for i in range(count))


def _stem(task_id: str) -> str:
    """The id without module, namespace and version.

    >>> _stem("module:ALE/Pong-v5")
    'Pong'
    """
    return task_id.rpartition(":")[2].rpartition("/")[2].rpartition("-v")[0]
