"""Who acts: the control policy of a method, one vectorised step at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.core import Acting, Policy, State, restarted
from rldistill.methods.method import Control


@final
@dataclass(frozen=True, slots=True)
class Randomness:
    """All random states of a run's training, saved in its checkpoints.

    Attributes:
        control: who acts, and sampled actions; on the policies' device.
        batches: which states are learnt from.
        uniform: uniform actions.
    """

    control: torch.Generator
    batches: torch.Generator
    uniform: np.random.Generator

    @classmethod
    def seeded(cls, seed: int, device: torch.device) -> "Randomness":
        """Independent states from one seed."""
        control, batches = np.random.default_rng([seed, 3]).integers(0, 2**31, 2)
        return cls(
            torch.Generator(device).manual_seed(int(control)),
            torch.Generator(device).manual_seed(int(batches)),
            np.random.default_rng([seed, 4]),
        )


@final
@dataclass(slots=True)
class Controller:
    """Chooses actions for B environments as a method's Control says.

    Attributes:
        control: the row's control.
        teacher: acts in the teacher's share of steps.
        student: acts in the others.
        teacher_act: how the teacher turns its distribution into an action.
        action_space: for uniform actions.
        randomness: whose turn it is, what is sampled.
        acting: asked at each step who acts in the student's place, for learners of more than one
            policy; None: the student.
        teacher_state, student_state: what recurrent ones remember; that of a policy which was not
            asked in a round is brought up to date by the collector.
    """

    control: Control
    teacher: Policy
    student: Policy
    teacher_act: Acting
    action_space: spaces.Space[Any]
    randomness: Randomness
    acting: Callable[[], Policy] | None = None
    teacher_state: State = ()
    student_state: State = ()

    def forget(self, batch: int) -> None:
        """All environments begin anew."""
        self.teacher_state = self.teacher.initial_state(batch)
        self.student_state = self.student.initial_state(batch)

    def asks(self, round_index: int) -> tuple[bool, bool]:
        """Whether teacher and student are asked in the steps of a round."""
        share = self.control.teacher_share.at(round_index)
        uniform = self.control.epsilon >= 1.0
        return share > 0.0 and not uniform, share < 1.0 and not uniform

    def act(
        self,
        observations: Tensor,
        starts: Tensor,
        round_index: int,
        teacher_observations: Tensor | None = None,
    ) -> tuple[np.ndarray[Any, Any], Tensor | None]:
        """Actions for observations [B, ...], and the teacher's raw outputs where it was asked.

        The teacher acts on what it sees itself, where that is something else.

        Each step asks only the policies that may act in it; states that the teacher did not see
        here are labelled later in one large batch. What recurrent ones remember is forgotten where
        starts [B], before they are asked.

        Returns:
            (actions [B] int64 or [B, D] float32, teacher raw outputs [B, outputs] or None).
        """
        share = self.control.teacher_share.at(round_index)
        teacher_raw = None
        if self.control.epsilon >= 1.0:
            return uniform_actions(
                self.action_space, len(observations), self.randomness.uniform
            ), None
        actions = None
        if share > 0.0:
            seen = observations if teacher_observations is None else teacher_observations
            teacher_raw, self.teacher_state = self.teacher.step(
                seen, restarted(self.teacher_state, starts)
            )
            head = self.teacher.info.head
            # A label may hold more than the outputs; they come first.
            distribution = head(teacher_raw[..., : head.num_outputs])
            actions = self.teacher_act.choose(distribution, self.randomness.control)
        if actions is None or share < 1.0:
            student_act = Acting(mode=not self.control.student_samples)
            student = self.student if self.acting is None else self.acting()
            raw, self.student_state = student.step(
                observations, restarted(self.student_state, starts)
            )
            own = student_act.choose(student.info.head(raw), self.randomness.control)
            actions = own if actions is None else self._mix(actions, own, share)
        return self._explore(actions.cpu().numpy()), teacher_raw

    def remembered(self, teacher_observations: Tensor, starts: Tensor) -> Tensor | None:
        """A recurrent teacher that was not asked sees the step: its raw outputs [B, outputs].

        None for a teacher without memory: it can be asked later.
        """
        if not self.teacher.info.is_recurrent:
            return None
        raw, self.teacher_state = self.teacher.step(
            teacher_observations, restarted(self.teacher_state, starts)
        )
        return raw

    def _mix(self, teacher: Tensor, student: Tensor, share: float) -> Tensor:
        chance = torch.rand(len(teacher), generator=self.randomness.control, device=teacher.device)
        chosen = (chance < share).view(-1, *(1,) * (teacher.ndim - 1))
        return torch.where(chosen, teacher, student.to(teacher.dtype))

    def _explore(self, actions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self.control.epsilon == 0.0:
            return actions
        random = uniform_actions(self.action_space, len(actions), self.randomness.uniform)
        chosen = self.randomness.uniform.random(len(actions)) < self.control.epsilon
        return np.where(chosen.reshape(-1, *(1,) * (actions.ndim - 1)), random, actions)


def uniform_actions(
    space: spaces.Space[Any], count: int, generator: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Uniform actions [count] or [count, D]; an unbounded dimension is drawn from a unit normal."""
    if isinstance(space, spaces.Discrete):
        return generator.integers(0, int(space.n), count)
    assert isinstance(space, spaces.Box)
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low, high = np.where(bounded, space.low, 0.0), np.where(bounded, space.high, 1.0)
    uniform = generator.uniform(low, high, (count, *space.shape))
    normal = generator.standard_normal((count, *space.shape))
    return np.where(bounded, uniform, normal).astype(np.float32)
