"""The parts of a multi-task student: what a task sees and does, entrances, trunk, heads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, final

from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import (
    CategoricalHead,
    Head,
    QValueHead,
    head_from_json,
    head_to_json,
)
from rldistill.errors import SettingError, TaskError
from rldistill.students.cnn import convolutional
from rldistill.students.cnn_specs import CnnSpec
from rldistill.students.mlp import InputNormaliser
from rldistill.students.multitask_specs import MultiSpec
from rldistill.students.outputs import (
    Initialiser,
    hidden_layers,
    new_log_std,
    output_sizes,
    raw_outputs,
)
from rldistill.students.pixels import PixelLayout
from rldistill.students.specs import MlpSpec

MOST_ACTIONS = 1 << 16
MOST_INPUTS = 1 << 24
MOST_AXES = 8
LONGEST_NAME = 80


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What one task sees and does.

    Attributes:
        name: of the task.
        shape: of one observation.
        scale: what pixels are divided by.
        head: what its outputs mean.
        actions: which outputs of a masked head its own are.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    head: Head
    actions: tuple[int, ...]

    def __post_init__(self) -> None:
        number = self.head.num_outputs
        in_range = all(0 <= action < MOST_ACTIONS for action in self.actions)
        if len(self.actions) != number or len(set(self.actions)) != number or not in_range:
            raise SettingError(
                f"{self.name:.80}: actions must name one shared output for each of its {number}, "
                f"all different and below {MOST_ACTIONS:,}; got {self.actions!s:.80}"
            )
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise SettingError(
                f"a task's name has 1 to {LONGEST_NAME} characters, got {self.name!r:.80}"
            )

    @classmethod
    def of(
        cls, name: str, space: spaces.Box, head: Head, actions: tuple[int, ...] | None
    ) -> "Seat":
        """A task's seat; actions None: the first outputs.

        Raises:
            SettingError: the name is empty or too long, or actions are not one output for each.
        """
        actions = tuple(range(head.num_outputs)) if actions is None else actions
        scale = PixelLayout.of(space).scale if len(space.shape) == 3 else 1.0
        return cls(name=name, shape=space.shape, scale=scale, head=head, actions=actions)


def seat_to_record(seat: Seat) -> dict[str, Any]:
    """A seat as plain JSON."""
    return {
        "name": seat.name,
        "observation_shape": list(seat.shape),
        "scale": seat.scale,
        "head": head_to_json(seat.head),
        "actions": list(seat.actions),
    }


def seat_from_record(entry: object) -> Seat:
    """The inverse of seat_to_record, for records from files that may be damaged or hostile.

    Raises:
        SettingError: the record is not a seat.
    """
    record = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    shape = _whole_numbers(record.get("observation_shape"))
    actions = _whole_numbers(record.get("actions"))
    name, scale = record.get("name"), record.get("scale")
    if not 1 <= len(shape) <= MOST_AXES or not all(1 <= n <= MOST_INPUTS for n in shape):
        raise SettingError("a task's observation_shape is not what it should be")
    if not isinstance(name, str) or not isinstance(scale, float) or not 1.0 <= scale <= 1e9:
        raise SettingError("a task's name or scale is not what it should be")
    head = head_from_json(record.get("head"))
    if head.num_outputs > MOST_ACTIONS:
        raise SettingError(f"a task has at most {MOST_ACTIONS:,} outputs, got {head.num_outputs:,}")
    return Seat(name=name, shape=shape, scale=scale, head=head, actions=actions)


def _whole_numbers(value: object) -> tuple[int, ...]:
    """A list of whole numbers from a file; () for anything else."""
    numbers = cast("list[object]", value) if isinstance(value, list) else []
    if len(numbers) > MOST_ACTIONS:
        return ()
    found = tuple(n for n in numbers if type(n) is int)
    return found if len(found) == len(numbers) else ()


@final
class PixelEntrance(nn.Module):
    """Pixels, scaled, and the first convolution."""

    def __init__(self, pixels: PixelLayout, first: nn.Module) -> None:
        super().__init__()
        self.pixels = pixels
        self.first = first

    def forward(self, observations: Tensor) -> Tensor:
        return self.first(self.pixels(observations))


@final
class RowEntrance(nn.Module):
    """Numbers, normalised, and the first full layer; a linear trunk has none."""

    def __init__(self, num_inputs: int, first: nn.Module, clip: float | None) -> None:
        super().__init__()
        self.normaliser = InputNormaliser(num_inputs, clip)
        self.normaliser.stays = True
        self.first = first

    def forward(self, observations: Tensor) -> Tensor:
        return self.first(self.normaliser(observations.flatten(1).float()))


def entrances(trunk: CnnSpec | MlpSpec, seats: Sequence[Seat]) -> nn.ModuleList:
    """One entrance where all tasks see the same shape and scale, else one for each task.

    Raises:
        TaskError: a task's observations do not fit the trunk, or leave it with another size.
    """
    same = len({(seat.shape, seat.scale) for seat in seats}) == 1
    needed = seats[:1] if same else seats
    if isinstance(trunk, MlpSpec):
        return nn.ModuleList([_row_entrance(trunk, seat) for seat in needed])
    modules: list[nn.Module] = []
    sizes: dict[str, tuple[int, int]] = {}
    for seat in needed:
        pixels = PixelLayout(seat.shape, seat.scale)
        modules.append(PixelEntrance(pixels, convolutional(trunk, pixels)[0][0]))
        sizes[seat.name] = pixels.size[1:]
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size[0]} x {size[1]}" for name, size in sizes.items())
        raise TaskError(
            f"tasks that share convolutions must have pictures of one size; these have: {told}"
        )
    return nn.ModuleList(modules)


def _row_entrance(trunk: MlpSpec, seat: Seat) -> RowEntrance:
    if not trunk.hidden:
        raise TaskError("the trunk of a multi-task student needs a hidden layer, such as mlp:64")
    num_inputs = math.prod(seat.shape)
    first = Initialiser(trunk.init).hidden(nn.Linear(num_inputs, trunk.hidden[0]))
    return RowEntrance(num_inputs, first, trunk.clip)


def trunk_layers(trunk: CnnSpec | MlpSpec, seat: Seat) -> tuple[list[nn.Module], int]:
    """The shared layers behind the entrances, and how many numbers they give."""
    if isinstance(trunk, CnnSpec):
        layers, width = convolutional(trunk, PixelLayout(seat.shape, seat.scale))
        full, width = hidden_layers(trunk, trunk.hidden, width)
        return [*layers[1:], nn.Flatten(), *full], width
    # The first full layer itself is the entrances'.
    behind_first, width = hidden_layers(trunk, trunk.hidden[:1], 1)
    full, width = hidden_layers(trunk, trunk.hidden[1:], width)
    return [*behind_first[1:], *full], width


@final
class Controller(nn.Module):
    """What one task has of its own: a full layer, if any, and its outputs."""

    def __init__(self, spec: MultiSpec, width: int, head: Head) -> None:
        super().__init__()
        self.head = head
        self.layers = nn.Sequential(*_controller_layers(spec, width, output_sizes(head)[0]))
        self.log_std = new_log_std(head)

    def forward(self, latent: Tensor) -> Tensor:
        return raw_outputs(self.layers(latent), self.head, self.log_std)


@final
class MaskedControllers(nn.Module):
    """One set of outputs for all tasks, of which each task uses its own actions'."""

    def __init__(self, spec: MultiSpec, width: int, seats: Sequence[Seat]) -> None:
        super().__init__()
        if not all(isinstance(seat.head, CategoricalHead | QValueHead) for seat in seats):
            raise TaskError("a masked head is for discrete actions; leave masked out")
        self.actions = tuple(seat.actions for seat in seats)
        most = 1 + max(action for actions in self.actions for action in actions)
        self.layers = nn.Sequential(*_controller_layers(spec, width, most))

    def forward(self, latent: Tensor, task: int) -> Tensor:
        return self.layers(latent)[:, list(self.actions[task])]


def _controller_layers(spec: MultiSpec, width: int, num_outputs: int) -> list[nn.Module]:
    widths = () if spec.hidden is None else (spec.hidden,)
    layers, width = hidden_layers(spec.trunk, widths, width)
    return [*layers, Initialiser(spec.trunk.init).last(nn.Linear(width, num_outputs))]
