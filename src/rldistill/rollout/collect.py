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

    Where the teacher sees something else than the student, what it saw is forgotten once it is
    labelled.

    Attributes:
        env: the environments.
        controller: who acts, and the teacher that labels; it carries what recurrent policies
            remember from round to round.
        device: of the policies.
        observations: what the student sees now; None: the environments are reset first.
        starts: [B] bool, it begins an episode.
        keep_teacher: keep what the teacher saw, where that is something else.
    """

    env: VectorEnv
    controller: Controller
    device: torch.device
    observations: np.ndarray[Any, Any] | None = None
    starts: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, bool))
    keep_teacher: bool = False

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
        seen: list[Tensor] = []
        labels = Labels(controller.teacher, self.keep_teacher)
        acted: list[np.ndarray[Any, Any]] = []
        rewards = np.zeros((length, num_envs), np.float32)
        ends = np.zeros((3, length, num_envs), bool)  # terminated, truncated, valid
        for t in range(length):
            seen.append(self._tensor(self.observations))
            theirs, starts = self._teachers(seen[-1]), self._tensor(self.starts)
            actions, teacher_raw = controller.act(seen[-1], starts, round_index, theirs)
            if teacher_raw is None and theirs is not seen[-1]:
                teacher_raw = controller.remembered(theirs, starts)
            labels.add(theirs, teacher_raw, same=theirs is seen[-1])
            step = self.env.step(actions)
            acted.append(actions)
            rewards[t] = step.rewards
            ends[0, t], ends[1, t], ends[2, t] = step.terminated, step.truncated, step.valid
            # What follows a phantom step is an episode's first observation.
            self.observations, self.starts = step.observations, ~step.valid
        observations, last = torch.stack(seen), self._tensor(self.observations)
        terminated, truncated, valid = (torch.from_numpy(e).to(self.device) for e in ends)
        starts = torch.cat([first[None], ~valid[:-1]])
        teacher_raw = self._catch_up(observations, starts, before, labels, round_index)
        return Trajectory(
            observations=observations,
            actions=torch.from_numpy(np.stack(acted)).to(self.device),
            rewards=torch.from_numpy(rewards).to(self.device),
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            teacher_raw=teacher_raw,
            last_observations=last,
            teacher_observations=labels.kept(self._teachers(last)),
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
        labels: "Labels",
        round_index: int,
    ) -> Tensor:
        """Labels [T, B, outputs]; and recurrent policies that did not act have seen the round."""
        controller = self.controller
        asked_teacher, asked_student = controller.asks(round_index)
        if controller.student.info.is_recurrent and not asked_student:
            _, controller.student_state = controller.student.unroll(observations, before[1], starts)
        if not controller.teacher.info.is_recurrent or asked_teacher or labels.apart:
            return labels.of(observations)
        raw, controller.teacher_state = controller.teacher.unroll(observations, before[0], starts)
        return checked(raw, controller.teacher)

    def _teachers(self, student: Tensor) -> Tensor:
        """What the teacher sees now: the student's tensor where they see the same."""
        theirs = self.env.teacher_observations
        return student if theirs is self.observations else self._tensor(theirs)

    def _tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


@final
class Labels:
    """The teacher's raw outputs for a round, each state once.

    Where teacher and student see the same, the states that the teacher was not asked about while
    acting are labelled at the end, in large batches; where the teacher sees something else,
    as soon as there is a batch, so that what it saw need not be kept.
    """

    def __init__(self, teacher: Policy, keep: bool) -> None:
        self._teacher, self._keep = teacher, keep
        self._raw: list[Tensor | None] = []
        self._waiting: list[Tensor] = []  # what the teacher saw, the latest steps without a label
        self._seen: list[Tensor] = []
        self._done: list[Tensor] = []

    def add(self, seen: Tensor, raw: Tensor | None, same: bool) -> None:
        """One step.

        Args:
            seen: [B, ...], what the teacher sees.
            raw: [B, outputs], what it said; None: it was not asked.
            same: the student sees the very same.
        """
        self._raw.append(raw)
        if same:
            return
        if self._keep:
            self._seen.append(seen)
        self._waiting.append(seen)
        if (
            len(self._waiting) * seen.numel() >= LABEL_NUMBERS
            or len(self._waiting) * len(seen) >= LABEL_BATCH
        ):
            self._flush()

    @property
    def apart(self) -> bool:
        """Whether the teacher saw something else than the student."""
        return bool(self._waiting or self._done)

    def of(self, observations: Tensor) -> Tensor:
        """All labels [T, B, outputs]; observations [T, B, ...] are the student's."""
        if not self.apart:
            return label(self._teacher, observations, self._raw)
        if self._waiting:
            self._flush()
        return torch.cat(self._done)

    def kept(self, last: Tensor) -> Tensor | None:
        """[T + 1, B, ...], what the teacher saw, where that is to be kept; else None."""
        return torch.stack([*self._seen, last]) if self._seen else None

    def _flush(self) -> None:
        raw = self._raw[-len(self._waiting) :]
        self._done.append(label(self._teacher, torch.stack(self._waiting), raw))
        self._waiting = []


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
