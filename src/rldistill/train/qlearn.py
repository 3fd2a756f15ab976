"""The Q-learning learner: QDagger's loss to a teacher beside n-step temporal differences."""

import copy
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from rldistill.core import NetworkPolicy, QValueHead
from rldistill.data.transitions import NStep, Transitions
from rldistill.errors import SettingError
from rldistill.maths.returns import Outcomes
from rldistill.methods.learner_settings import QLearning
from rldistill.methods.method import Method
from rldistill.methods.terms import Alignment
from rldistill.students.families import family_of, require_family
from rldistill.train.critic import ReturnScale
from rldistill.train.learners import Memory, finite_loss, fit_normalisers
from rldistill.train.stepper import Stepper


@final
class QLearner:
    """Takes steps on Huber(Q(s, a) - y) + lambda l(teacher(s), softmax(Q(s) / tau)).

    y = R + gamma^k max_a' Q_target(s', a') over k <= n rewards, 0 after a terminated step; with
    `double` the student chooses a'. The Huber loss is linear from 1 on, as in DQN.

    The network counts in units of the deviation of returns, which is measured while the teacher
    acts (in the first round, where it never does) and fixed afterwards; the network that is tested
    and saved has its last layer multiplied by it, and so gives Q-values in raw reward.

    Source: Agarwal et al. 2022 (QDagger, arXiv:2206.01626), equation 3; plain DQN targets, as in
    its code; Mnih et al. 2015 (doi:10.1038/nature14236).

    Attributes:
        alignment: the loss.
        loss_weight: lambda of this round.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        gamma: float,
        method: Method,
        alignment: Alignment,
        generator: torch.Generator,
    ) -> None:
        """Make a Q-network of an untrained student.

        Raises:
            SettingError: the student was trained before, so that its outputs are no Q-values in
                this unit; or it is a live module, whose last layer is not known.
        """
        settings, num_actions = method.learner, student.info.head.num_outputs
        assert isinstance(settings, QLearning)
        if family_of(student.module) is None:
            raise SettingError(
                f"{method.name} needs a student made from a spec, such as 'mlp:64,64', whose "
                f"outputs it can scale; got the live module {student.info.name}"
            )
        if student.info.fingerprint:
            raise SettingError(
                f"{method.name} begins with an untrained student, whose outputs become Q-values; "
                f"got the one of {student.info.source}. Give its spec, {student.info.name!r}"
            )
        info = replace(student.info, head=QValueHead(num_actions))
        self.alignment = alignment
        self.loss_weight = 1.0
        self._method, self._settings, self._gamma = method, settings, gamma
        self._generator = generator
        self._stepper = Stepper(NetworkPolicy(student.module, info), method.learning)
        self._target = copy.deepcopy(student.module).requires_grad_(False)
        self._scale = ReturnScale()
        self._rounds = 0

    @property
    def student(self) -> NetworkPolicy:
        """The Q-network that is being trained, in units of the deviation of returns."""
        return self._stepper.student

    @property
    def acting(self) -> NetworkPolicy:
        """The student."""
        return self.student

    @property
    def tested(self) -> NetworkPolicy:
        """A copy of the running average, its Q-values in raw reward."""
        average = self._stepper.tested
        module = copy.deepcopy(average.module).requires_grad_(False)
        require_family(module).scale_outputs(module, self._scale.value)
        return NetworkPolicy(module, average.info)

    @property
    def updates(self) -> int:
        """Optimiser steps taken so far."""
        return self._stepper.updates

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return self._stepper.is_finite

    def learn(self, memory: Memory, num_updates: int) -> float:
        """Take num_updates steps on uniform batches of transitions.

        Returns:
            The mean of what is minimised.

        Raises:
            NotFiniteError: the loss became NaN or infinite.
        """
        assert isinstance(memory, Transitions)
        teacher_acts = self._method.control.teacher_share.at(self._rounds) > 0.0
        if teacher_acts or self._rounds == 0:
            x = memory.latest
            outcomes = Outcomes(x.rewards, x.terminated, x.truncated, x.valid)
            self._scale.update(outcomes, self._gamma)
        self._rounds += 1
        total = torch.zeros((), device=self._stepper.device)
        with self._stepper.training():
            for _ in range(num_updates):
                loss = self.loss(memory.sample(self._method.learning.batch_size, self._generator))
                self._stepper.step(loss)
                total += loss.detach()
                if self.updates % self._settings.target_period == 0:
                    self._target.load_state_dict(self.student.module.state_dict())
        return finite_loss(float(total) / max(num_updates, 1), self._stepper)

    def loss(self, batch: NStep) -> Tensor:
        """What is minimised []."""
        q_values = self.student.module(batch.observations)
        taken = q_values.gather(-1, batch.actions[:, None]).squeeze(-1)
        total = smooth_l1_loss(taken, self.targets(batch))
        if self.loss_weight > 0.0:
            apart = self._scaled_alignment()(batch.teacher_raw, q_values)
            total = total + self.loss_weight * apart.mean()
        return total

    @torch.no_grad()
    def targets(self, batch: NStep) -> Tensor:
        """y [N], in units of the deviation of returns."""
        after = self._target(batch.next_observations)
        best = after.amax(-1)
        if self._settings.double:
            chosen = self.student.module(batch.next_observations).argmax(-1, keepdim=True)
            best = after.gather(-1, chosen).squeeze(-1)
        return batch.returns / self._scale.value + batch.discounts * best

    def _scaled_alignment(self) -> Alignment:
        """The loss, with the student's temperature in the unit that its network counts in."""
        tau = self._settings.student_temperature
        if isinstance(self.alignment.teacher_head, QValueHead):
            tau = self.alignment.teacher_temperature / self._scale.value
        return replace(self.alignment, student_temperature=tau)

    def fit_normaliser(self, observations: Tensor) -> None:
        """Fit the input normalisers of student and target on observations [N, O]."""
        fit_normalisers(self._stepper, observations)
        self._target.load_state_dict(self.student.module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, target, optimiser, counters and the unit of rewards."""
        return self._stepper.state_dict() | {
            "target": self._target.state_dict(),
            "scale": self._scale.state_dict(),
            "rounds": self._rounds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self._stepper.load_state_dict(state)
        self._target.load_state_dict(state["target"])
        self._scale.load_state_dict(state["scale"])
        self._rounds = int(state["rounds"])
