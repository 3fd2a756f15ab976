"""Multi-task students: a shared trunk and, for each task, a head with that task's own actions.

Source: Rusu et al. 2016 (arXiv:1511.06295), section 3.3 and appendix A: all layers to the first
full one are shared, a "controller" (a full layer and the outputs) belongs to each game, and the
game's number chooses it in training and evaluation. A single masked head for all tasks is that of
Actor-Mimic (Parisotto et al. 2016, arXiv:1511.06342).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head, NetworkPolicy, PolicyInfo, head_for
from rldistill.errors import SettingError, TaskError, did_you_mean
from rldistill.students.multitask_parts import (
    Controller,
    MaskedControllers,
    Seat,
    entrances,
    trunk_layers,
)
from rldistill.students.multitask_specs import TRUNKS, MultiSpec, parse_multi
from rldistill.students.tree_specs import GROWTHS

MOST_TASKS = 256


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPart:
    """One task of a multi-task student.

    Attributes:
        name: how policy() and load_policy(task=...) call it, such as its id.
        observation_space: a Box.
        action_space: Discrete, or a flat Box.
        like: its teacher's head; the student's distribution is of the same family.
        actions: for a masked head: which of the shared outputs its actions are, in its own order
            (of Atari: the numbers of its actions among the 18); None: the first ones.
    """

    name: str
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    like: Head | None = None
    actions: tuple[int, ...] | None = None


@final
class MultiTask(nn.Module):
    """One network for several tasks; forward(observations, task) gives the task's raw outputs.

    Tasks whose observations have one shape share all layers but their heads. Where shapes differ,
    as in MinAtar, whose games have channels of their own, each task also has a first layer of its
    own: nothing says that the third channel of one game means what it means in another.
    """

    def __init__(self, spec: MultiSpec, seats: Sequence[Seat]) -> None:
        super().__init__()
        self.spec = spec
        self.seats = tuple(seats)
        self.entrances = entrances(spec.trunk, self.seats)
        layers, width = trunk_layers(spec.trunk, self.seats[0])
        self.trunk = nn.Sequential(*layers)
        self.controllers: nn.Module
        if spec.masked:
            self.controllers = MaskedControllers(spec, width, self.seats)
        else:
            heads = [Controller(spec, width, seat.head) for seat in self.seats]
            self.controllers = nn.ModuleList(heads)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks; their places are the numbers that forward takes."""
        return tuple(seat.name for seat in self.seats)

    @property
    def num_parameters(self) -> int:
        """All numbers that it acts with, over all tasks."""
        return _count(self)

    def forward(self, observations: Tensor, task: int) -> Tensor:
        """Raw outputs [B, outputs of the task's head] of observations [B, ...] of one task."""
        entrance = self.entrances[task if len(self.entrances) > 1 else 0]
        latent = self.trunk(entrance(observations))
        if isinstance(self.controllers, MaskedControllers):
            return self.controllers(latent, task)
        assert isinstance(self.controllers, nn.ModuleList), "made in __init__"
        return self.controllers[task](latent)

    def index(self, task: str) -> int:
        """The number of a task.

        Raises:
            SettingError: it has no such task; near names are given.
        """
        if task not in self.tasks:
            raise SettingError(unknown_task(task, self.tasks))
        return self.tasks.index(task)

    def policy(self, task: str) -> NetworkPolicy:
        """The policy of one task, which shares its weights with this network.

        It acts, is saved (with all tasks) and is trained like any other student.

        Raises:
            SettingError: it has no such task.
        """
        view = TaskView(self, self.index(task))
        seat = view.seat
        info = PolicyInfo(
            name=str(self.spec),
            framework="rldistill",
            observation_shape=seat.shape,
            head=seat.head,
            acting_parameters=count(view),
            parameters=self.num_parameters,
        )
        return NetworkPolicy(view, info)


@final
class TaskView(nn.Module):
    """A multi-task network as its policy in one task sees it: observations to raw outputs."""

    def __init__(self, network: MultiTask, task: int) -> None:
        super().__init__()
        self.network = network
        self.task = task

    @property
    def spec(self) -> MultiSpec:
        """Of the whole network."""
        return self.network.spec

    @property
    def seat(self) -> Seat:
        """What the task sees and does."""
        return self.network.seats[self.task]

    def forward(self, observations: Tensor) -> Tensor:
        return self.network(observations, self.task)


def make_multitask_student(spec: str | MultiSpec, tasks: Sequence[TaskPart]) -> MultiTask:
    """Build an untrained student of several tasks.

    Args:
        spec: such as "multi:nature:100%,fc128": a trunk, and the width of each task's own full
            layer. "multi:nature:100%,masked" has one head for all, masked.
        tasks: in the order of their numbers.

    Raises:
        SettingError: the spec cannot be read, or two tasks have one name.
        TaskError: spaces that the trunk cannot see, or whose actions it cannot give.

    >>> frames = spaces.Box(0, 255, (4, 84, 84), "uint8")
    >>> games = [TaskPart(name=name, observation_space=frames, action_space=spaces.Discrete(n))
    ...          for name, n in (("Freeway", 3), ("Pong", 3), ("Qbert", 6))]
    >>> student = make_multitask_student("multi:nature:100%,fc128", games)
    >>> student.num_parameters, student.policy("Pong").info.head
    (1882668, CategoricalHead(num_actions=3))
    """
    parsed = spec if isinstance(spec, MultiSpec) else parse_multi_text(spec)
    names = [part.name for part in tasks]
    if not 1 <= len(names) <= MOST_TASKS:
        raise SettingError(f"give 1 to {MOST_TASKS} tasks, got {len(names)}")
    if doubled := [name for name in names if names.count(name) > 1]:
        raise SettingError(f"two tasks are called {doubled[0]!r}")
    return MultiTask(parsed, [_seat(part) for part in tasks])


def parse_multi_text(text: str) -> MultiSpec:
    """The spec in a text that must begin with "multi:".

    Raises:
        SettingError: it does not, or cannot be read.
    """
    name, _, rest = text.strip().partition(":")
    if name in (*GROWTHS, "soft-tree"):
        raise SettingError(
            f"student {text!r:.80}: trees of several tasks would share nothing, so merge makes "
            "none. Give each task its own by `rldistill distill TEACHER --task TASK --student "
            f"{text.strip():.60}`, or let them share a network: multi:mlp:64,64 for numbers, "
            "multi:nature:100%,fc128 for pixels"
        )
    if name != "multi":
        trunk = text.strip() if name in TRUNKS else "mlp:64,64"
        raise SettingError(
            f"student {text!r:.80}: several tasks need a multi-task student, such as "
            f"multi:{trunk:.60},fc128"
        )
    return parse_multi(name, rest)


def _seat(part: TaskPart) -> Seat:
    space = part.observation_space
    if not isinstance(space, spaces.Box) or not space.shape:
        raise TaskError(
            f"{part.name}: observations must be a Box with at least one axis; it has {space}"
        )
    head = head_for(part.action_space, part.like)
    return Seat.of(part.name, space, head, part.actions)


def unknown_task(task: str, known: Sequence[str]) -> str:
    return f"the student has no task {task!r:.80}; it has {listed(known)}." + did_you_mean(
        task, known
    )


def listed(names: Sequence[str]) -> str:
    return ", ".join(f"{name:.60}" for name in names[:20]) or "none"


def count(view: TaskView) -> int:
    """Numbers that act in the view's task: the heads and first layers of others do not."""
    network = view.network
    unused = [e for i, e in enumerate(network.entrances) if i != view.task]
    if isinstance(network.controllers, nn.ModuleList):
        unused += [c for i, c in enumerate(network.controllers) if i != view.task]
    if len(network.entrances) == 1:
        unused = [module for module in unused if module is not network.entrances[0]]
    return _count(network) - sum(_count(module) for module in unused)


def _count(module: nn.Module) -> int:
    statistics = sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())
    return sum(parameter.numel() for parameter in module.parameters()) + statistics
