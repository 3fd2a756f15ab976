"""The learner of Distral: a task policy, and the shared prior that it is regularised by."""

from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from rldistill.core import NetworkPolicy, Trajectory
from rldistill.data.latest import LatestRound
from rldistill.methods.method import Method
from rldistill.methods.schedules import ALWAYS
from rldistill.methods.terms import Alignment
from rldistill.students.build import another_like
from rldistill.train.actor_critic import ActorCriticLearner, minibatches
from rldistill.train.learners import Memory, finite_loss, fit_normalisers
from rldistill.train.stepper import Stepper


@final
@dataclass(frozen=True, slots=True)
class Column:
    """One policy that the prior is fitted to, on N states of its task.

    Attributes:
        alignment: the loss from it to the prior.
        raw: its outputs [N, outputs].
        observations: the states [N, ...].
        weight: how much it counts.
    """

    alignment: Alignment
    raw: Tensor
    observations: Tensor
    weight: float


@final
class DistralLearner:
    """The student follows the policy gradient of

        sum_t gamma^t [r_t + (alpha / beta) log pi_0(a_t | s_t) - (1 / beta) log pi_i(a_t | s_t)]

    and the prior pi_0, a network like the student, then descends sum_i w_i l(pi_i(s), pi_0(s)),
    whose minimum under cross-entropy is the mean of the columns pi_i: the student, and the loaded
    teacher, which never changes. Both are compared in the student's states. alpha / beta and 1 /
    beta are the weights of log_teacher and log_student in the row's credit.

    Source: Teh et al. 2017 (Distral, arXiv:1707.04175), equations 1 and 9 (KL + entropy, 1 column).

    Attributes:
        alignment: the loss from the loaded teacher to the prior.
        loss_weight: of the loaded teacher's column.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        teacher: NetworkPolicy,
        method: Method,
        alignment: Alignment,
        generator: torch.Generator,
    ) -> None:
        like = another_like(student)
        # The prior stands in the teacher's place, so it brings the discount along.
        self.prior = NetworkPolicy(like.module, replace(like.info, gamma=teacher.info.gamma))
        head = student.info.head
        regularised = replace(method, loss=None, loss_weight=ALWAYS, learner=None)
        self.alignment = alignment
        self.loss_weight = 1.0
        self._learning = method.learning
        self._generator = generator
        # The prior and the student speak the same language, without temperatures.
        own = Alignment(None, head, head, 1.0, 1.0)
        self._task = ActorCriticLearner(student, self.prior, regularised, own, generator)
        self._to_prior = replace(own, loss=method.loss, js_beta=method.js_beta)
        # Not tested, so not averaged.
        self._prior = Stepper(self.prior, replace(method.learning, average=0.0))

    @property
    def student(self) -> NetworkPolicy:
        """The task's policy."""
        return self._task.student

    @property
    def acting(self) -> NetworkPolicy:
        """The task's policy."""
        return self._task.student

    @property
    def tested(self) -> NetworkPolicy:
        """The running average of the task's policy, which is tested and saved."""
        return self._task.tested

    @property
    def updates(self) -> int:
        """Optimiser steps of student and prior."""
        return self._task.updates + self._prior.updates

    @property
    def is_finite(self) -> bool:
        """Whether no weight of either is NaN or infinite."""
        return self._task.is_finite and self._prior.is_finite

    def learn(self, memory: Memory, num_updates: int) -> float:
        """num_updates steps of the student under the prior as it was, then as many of the prior.

        Returns:
            The mean loss of the prior, over its columns.

        Raises:
            NotFiniteError: a reward or a loss is NaN or infinite.
        """
        assert isinstance(memory, LatestRound)
        self._task.learn(self._under_prior(memory.trajectory), num_updates)
        columns = self.columns(memory.trajectory)
        size, count = self._learning.batch_size, len(columns[0].observations)
        total = torch.zeros((), device=self.student.device)
        with self._prior.training():
            for rows in minibatches(count, size, num_updates, self._generator):
                loss = self.prior_loss(columns, rows)
                self._prior.step(loss)
                total += loss.detach()
        return finite_loss(float(total) / max(num_updates, 1), self._prior)

    @torch.no_grad()
    def _under_prior(self, trajectory: Trajectory) -> LatestRound:
        """The round, labelled by the prior instead of the loaded teacher."""
        flat = trajectory.observations.flatten(0, 1)
        raw = self.prior.raw(flat).unflatten(0, trajectory.rewards.shape)
        relabelled = LatestRound()
        # The prior sees what the student sees.
        relabelled.put(replace(trajectory, teacher_raw=raw, teacher_observations=None))
        return relabelled

    @torch.no_grad()
    def columns(self, trajectory: Trajectory) -> list[Column]:
        """What the prior is fitted to: one column per policy and task; today two, of one task."""
        states = trajectory.observations[trajectory.valid]
        teacher = trajectory.teacher_raw[trajectory.valid]
        student = self.student.module(states)
        return [
            Column(self.alignment, teacher, states, self.loss_weight),
            Column(self._to_prior, student, states, 1.0),
        ]

    def prior_loss(self, columns: list[Column], rows: Tensor) -> Tensor:
        """The weighted sum over the columns of the mean loss to the prior [], on some rows."""
        total = torch.zeros((), device=self.student.device)
        for column in columns:
            index = rows.to(column.raw.device)
            prior = self.prior.module(column.observations[index])
            total = total + column.weight * column.alignment(column.raw[index], prior).mean()
        return total

    def fit_normaliser(self, observations: Tensor) -> None:
        """Fit the input normalisers of student, critic and prior on observations [N, O]."""
        self._task.fit_normaliser(observations)
        fit_normalisers(self._prior, observations)

    def state_dict(self) -> dict[str, Any]:
        """The student with its critic, and the prior."""
        return {"task": self._task.state_dict(), "prior": self._prior.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self._task.load_state_dict(state["task"])
        self._prior.load_state_dict(state["prior"])
