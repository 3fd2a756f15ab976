"""Trajectories: what happened in B environments over T steps."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rldistill.core.recurrent import State


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What recurrent policies bring along from before a trajectory.

    Attributes:
        starts: [B] bool: its first observations begin an episode; None: all of them do.
        teacher: the teacher's state before the first step.
        student: the student's.
        last_teacher: the teacher's after the last step.
    """

    starts: Tensor | None = None
    teacher: State = ()
    student: State = ()
    last_teacher: State = ()


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
    carried: Carried = Carried()
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

    @property
    def starts(self) -> Tensor:
        """[T, B] bool: what is observed begins an episode, before which memories are reset."""
        first = self.carried.starts
        if first is None:
            first = torch.ones_like(self.valid[0])
        # What follows a phantom step is an episode's first observation.
        return torch.cat([first[None], ~self.valid[:-1]])

    @property
    def last_starts(self) -> Tensor:
        """[B] bool: the same of last_observations."""
        return ~self.valid[-1]
