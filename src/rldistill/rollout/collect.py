"""Collect: step the environments under a control policy; every state is labelled once."""

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from rldistill.core import Carried, Policy, State, Trajectory
from rldistill.envs.vector import VectorEnv
from rldistill.errors import NotFiniteError
from rldistill.rollout.control import Controller

# States per teacher forward when a whole round is labelled at once: large enough to be limited by
# arithmetic, small enough that the activations stay in cache.
LABEL_BATCH = 8192
# Numbers observed in such a batch, at most: of frames there are fewer.
LABEL_NUMBERS = 2**22


@final
@dataclass(slots=True)
class Collector:
    """Steps one vector environment, round after round, without resetting in between.

    Attributes:
        env: the environments.
        controller: who acts; it carries what recurrent policies remember from round to round.
        device: of the policies.
        observations: what is seen now; None: the next round begins with a reset.
        starts: [B] bool, it begins an episode.
    """

    env: VectorEnv
    controller: Controller
    device: torch.device
    observations: np.ndarray[Any, Any] | None = None
    starts: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, bool))

    @torch.no_grad()
    def collect(self, num_steps: int, round_index: int) -> Trajectory:
        """Take num_steps environment steps (summed over environments, rounded up to whole steps).

        Args:
            num_steps: how many.
            round_index: i, for the control's schedule.

        Returns:
            A trajectory [T, B, ...] labelled by the teacher.

        Raises:
            EnvironmentFailure: from the environment.
            NotFiniteError: the teacher's outputs are NaN or infinite.
        """
        num_envs = self.env.num_envs
        length = -(-num_steps // num_envs)
        if self.observations is None:
            self.observations, self.starts = self.env.reset(), np.ones(num_envs, bool)
            self.controller.forget(num_envs)
        controller, first = self.controller, self._tensor(self.starts)
        before = (controller.teacher_state, controller.student_state)
        seen: list[np.ndarray[Any, Any]] = []
        raw: list[Tensor | None] = []
        acted: list[np.ndarray[Any, Any]] = []
        rewards = np.zeros((length, num_envs), np.float32)
        ends = np.zeros((3, length, num_envs), bool)  # terminated, truncated, valid
        for t in range(length):
            seen.append(self.observations)
            actions, teacher_raw = controller.act(
                self._tensor(seen[-1]), self._tensor(self.starts), round_index
            )
            step = self.env.step(actions)
            acted.append(actions)
            raw.append(teacher_raw)
            rewards[t] = step.rewards
            ends[0, t], ends[1, t], ends[2, t] = step.terminated, step.truncated, step.valid
            # What follows a phantom step is an episode's first observation.
            self.observations, self.starts = step.observations, ~step.valid
        observations = self._tensor(np.stack(seen))
        terminated, truncated, valid = (torch.from_numpy(e).to(self.device) for e in ends)
        starts = torch.cat([first[None], ~valid[:-1]])
        labels = self._catch_up(observations, starts, before, raw, round_index)
        return Trajectory(
            observations=observations,
            actions=torch.from_numpy(np.stack(acted)).to(self.device),
            rewards=torch.from_numpy(rewards).to(self.device),
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            teacher_raw=labels,
            last_observations=self._tensor(self.observations),
            carried=Carried(
                starts=first,
                teacher=before[0],
                student=before[1],
                last_teacher=controller.teacher_state,
            ),
        )

    def _catch_up(
        self,
        observations: Tensor,
        starts: Tensor,
        before: tuple[State, State],
        raw: list[Tensor | None],
        round_index: int,
    ) -> Tensor:
        """Labels [T, B, outputs]; and recurrent policies that did not act have seen the round."""
        controller = self.controller
        asked_teacher, asked_student = controller.asks(round_index)
        if controller.student.info.is_recurrent and not asked_student:
            _, controller.student_state = controller.student.unroll(observations, before[1], starts)
        if not controller.teacher.info.is_recurrent or asked_teacher:
            return label(controller.teacher, observations, raw)
        labels, controller.teacher_state = controller.teacher.unroll(
            observations, before[0], starts
        )
        return checked(labels, controller.teacher)

    def _tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def label(teacher: Policy, observations: Tensor, known: list[Tensor | None]) -> Tensor:
    """The teacher's raw outputs for observations [T, B, ...]: [T, B, outputs].

    Args:
        teacher: the policy that labels.
        observations: the states.
        known: per t, the outputs [B, outputs] that were already computed while acting, or None.

    Raises:
        NotFiniteError: an output is NaN or infinite.
    """
    if all(raw is not None for raw in known):
        labels = torch.stack([raw for raw in known if raw is not None])
    else:
        flat = observations.flatten(0, 1)
        size = min(LABEL_BATCH, max(LABEL_NUMBERS // max(flat[0].numel(), 1), 1))
        parts = [teacher.raw(part) for part in flat.split(size)]
        labels = torch.cat(parts).unflatten(0, observations.shape[:2])
    return checked(labels, teacher)


def checked(labels: Tensor, teacher: Policy) -> Tensor:
    """Labels of a teacher that can be learnt from.

    Raises:
        NotFiniteError: an output is NaN or infinite.
    """
    require_labels(
        labels,
        f"the teacher ({teacher.info.name}) gave NaN or infinite outputs: is its observation "
        "normaliser the right one, and are its weights finite?",
    )
    return labels


def require_labels(labels: Tensor, problem: str) -> None:
    """Check that labels can be learnt from: masked actions are -inf, NaN and +inf have no meaning.

    Raises:
        NotFiniteError: with this problem.
    """
    if bool((labels.isnan() | (labels == torch.inf)).any()):
        raise NotFiniteError(problem)
