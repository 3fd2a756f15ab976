"""Kickstarting in the trainers of others: weights, settings, and adding a gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol, final

import torch
from torch import Tensor, nn

from rldistill.errors import SettingError
from rldistill.integrations.term import TermSettings
from rldistill.methods.method import LAST_ROUND
from rldistill.methods.schedules import Constant, Linear, Schedule, Weaning

CROSS_ENTROPY: Final = TermSettings()
KICKSTART: Final = Linear(1.0, 0.0, 60)
# A round of an algorithm that learns after every few steps.
ROUND_STEPS = 4096


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KickstartSettings:
    """What else may be chosen.

    Attributes:
        term: the loss and its temperatures.
        round_steps: environment steps after which the weight's schedule moves on by one; None: a
            rollout for PPO and A2C, 4,096 steps for DQN.
        batch_size: states per optimiser step; None: the model's own (A2C: the whole rollout).
        returns: mean returns of the random policy and of the teacher: needed by a Weaning weight
            alone, which compares them with the model's latest episodes (of a Monitor).
        vecnormalize: statistics of a teacher's zip, as for load_teacher.
    """

    term: TermSettings = CROSS_ENTROPY
    round_steps: int | None = None
    batch_size: int | None = None
    returns: tuple[float, float] | None = None
    vecnormalize: str | None = None

    def __post_init__(self) -> None:
        for name in ("round_steps", "batch_size"):
            value: int | None = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"{name} must be at least 1, got {value}")
        if self.returns is not None and not self.returns[0] < self.returns[1]:
            raise SettingError(
                "returns must be those of the random policy and of a better teacher, got "
                f"{self.returns[0]:g} and {self.returns[1]:g}"
            )


class Side(Protocol):
    """Where a model's states come from, and what it says of them."""

    def begin(self) -> None:
        """A rollout begins."""
        ...

    def see(self) -> None:
        """A step was taken."""
        ...

    def end(self) -> None:
        """A rollout has ended."""
        ...

    def batch(self) -> tuple[Tensor, Tensor] | None:
        """Labels [N, ...] and the student's raw outputs [N, ...] of a batch; None before any."""
        ...


NO_SETTINGS: Final = KickstartSettings()


@final
class Pace:
    """The weight of the term from round to round.

    Attributes:
        rollouts: finished so far.
        steps: environment steps so far.
    """

    def __init__(self, weight: float | Schedule | Weaning, settings: KickstartSettings) -> None:
        """Check the weight.

        Raises:
            SettingError: it is never above 0, or somewhere below or infinite; Weaning without
                returns.
        """
        self.rollouts, self.steps = 0, 0
        self._settings = settings
        self._schedule = Constant(weight) if isinstance(weight, (int, float)) else weight
        ends = [self._schedule.at(i) for i in (0, LAST_ROUND)]
        if not (min(ends) >= 0.0 and 0.0 < max(ends) < inf):
            raise SettingError(
                "weight must be finite, at least 0 and somewhere above; it goes from "
                f"{ends[0]:g} to {ends[1]:g}"
            )
        if isinstance(self._schedule, Weaning) != (settings.returns is not None):
            raise SettingError(
                "a Weaning weight needs settings.returns (random policy, teacher), and no other "
                "weight uses them"
            )

    def weight(self, is_off_policy: bool, recent: Sequence[float]) -> float:
        """lambda of the round that begins.

        Args:
            is_off_policy: a rollout is no round.
            recent: returns of the model's latest episodes.
        """
        steps = self._settings.round_steps or (ROUND_STEPS if is_off_policy else None)
        i = self.rollouts if steps is None else self.steps // steps
        if not isinstance(self._schedule, Weaning):
            return self._schedule.at(i)
        assert self._settings.returns is not None
        random, teacher = self._settings.returns
        mean = sum(recent) / len(recent) if recent else random
        return self._schedule.at(i, (mean - random) / (teacher - random))


def as_input(raw: Tensor) -> Tensor:
    """Observations as load_teacher's policies take them: float32, or uint8 pixels."""
    return raw if raw.dtype == torch.uint8 else raw.float()


def add_clipped(
    parameters: Sequence[nn.Parameter], slopes: Sequence[Tensor | None], largest: float
) -> None:
    """Add slopes to the parameters' gradients, scaled down to a joint norm of `largest`."""
    there = [(p, g) for p, g in zip(parameters, slopes, strict=True) if g is not None]
    norm = torch.stack([g.norm() for _, g in there]).norm()
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    for parameter, slope in there:
        added = scale * slope
        parameter.grad = added if parameter.grad is None else parameter.grad + added
