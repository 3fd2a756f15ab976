"""Trajectories: what happened in B environments over T steps."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a control policy did in B environments for T steps.

    valid is False for the phantom step by which an autoresetting environment starts over: its
    action was ignored and it must never be learnt from. observations[t] is what actions[t] was
    chosen on.
    """

    observations: Tensor  # [T, B, ...]
    actions: Tensor  # [T, B] or [T, B, D]
    rewards: Tensor  # [T, B] float32, raw
    terminated: Tensor  # [T, B] bool
    truncated: Tensor  # [T, B] bool
    valid: Tensor  # [T, B] bool
    teacher_raw: Tensor  # [T, B, outputs of the teacher's head]
    last_observations: Tensor  # [B, ...], after the last step
    # [T + 1, B, ...], what the teacher saw, where that is something else and a method needs it.
    teacher_observations: Tensor | None = None

    @property
    def states(self) -> Tensor:
        """All T + 1 observations, the last ones at the end."""
        return torch.cat([self.observations, self.last_observations[None]])

    @property
    def num_steps(self) -> int:
        """Environment steps, summed over environments, phantom steps not counted."""
        return int(self.valid.sum())
