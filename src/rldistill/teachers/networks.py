"""What every reader of one family of algorithms gives: networks without an input normaliser."""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from rldistill.core import Head
from rldistill.errors import MisfitError, TaskError, TeacherFileError
from rldistill.teachers.settings import Settings
from rldistill.teachers.weights import widths


@final
@dataclass(frozen=True, slots=True)
class Bounds:
    """Action bounds in environment units, one number per dimension.

    of_task tells whether the task gave them, because the file does not tell its own.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    of_task: bool = False

    @property
    def is_finite(self) -> bool:
        """Whether an action in [-1, 1] can be scaled to them."""
        return bool(torch.tensor(self.low + self.high).isfinite().all())

    def tensors(self) -> tuple[Tensor, Tensor]:
        """(low, high) as float32 [D]."""
        return torch.tensor(self.low), torch.tensor(self.high)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """A policy as its file has it.

    Attributes:
        algorithm: "PPO", "SAC", ...
        actor: layers from (normalised) observations [..., O] to the head's raw outputs.
        head: what these outputs mean.
        critic: from the same observations to values [...]; None if the file has none.
        sizes: O, hidden widths, outputs.
        activation: its name, as shown.
        notes: what had to be assumed.
        shape: of one observation; () where it is a row of O numbers.
    """

    algorithm: str
    actor: list[nn.Module]
    head: Head
    critic: nn.Module | None
    sizes: tuple[int, ...]
    activation: str
    notes: tuple[str, ...] = field(default=())
    shape: tuple[int, ...] = ()


def unbounded(num_dimensions: int) -> Bounds:
    """(-inf, inf) in every dimension."""
    return Bounds((-torch.inf,) * num_dimensions, (torch.inf,) * num_dimensions)


def require_bounds(bounds: Bounds | None, num_dimensions: int, settings: Settings) -> Bounds:
    """Finite bounds for a policy whose actions are squashed into them.

    Raises:
        TaskError: unknown or infinite.
        TeacherFileError: of another number of dimensions than the network.
    """
    fitting = fit_bounds(bounds, num_dimensions, settings)
    if fitting is None or not fitting.is_finite:
        raise TaskError(
            f"{settings.what}: this policy squashes its actions into bounds that the file does not "
            "tell; give action_space (or name the task)"
        )
    return fitting


def fit_bounds(bounds: Bounds | None, num_dimensions: int, settings: Settings) -> Bounds | None:
    """The bounds, checked against the size of the network's output.

    Raises:
        TeacherFileError: the file's, of another number of dimensions than its network.
        MisfitError: the task's, of another number of dimensions than the network.
    """
    if bounds is not None and len(bounds.low) != num_dimensions:
        if bounds.of_task:
            raise MisfitError(
                settings.what,
                f"gives {num_dimensions} continuous action dimensions",
                f"takes {len(bounds.low)} continuous action dimensions",
            )
        raise TeacherFileError(
            f"{settings.what}: the network gives {num_dimensions} action dimensions, "
            f"its action space has {len(bounds.low)}"
        )
    return bounds


def layer_sizes(layers: list[nn.Module], last: nn.Linear) -> tuple[int, ...]:
    """Sizes of hidden layers followed by a last linear layer."""
    return (*widths(layers), last.out_features) if layers else (last.in_features, last.out_features)
