"""The learner of Dual Policy Distillation: student and peer take turns, and learn of each other."""

from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from rldistill.core import NetworkPolicy
from rldistill.data.latest import LatestRound
from rldistill.methods.learner_settings import Peer
from rldistill.methods.method import Method, Temperature
from rldistill.methods.rewards import LARGEST_GATE
from rldistill.methods.schedules import ALWAYS
from rldistill.methods.terms import Alignment
from rldistill.students.build import another_like
from rldistill.train.actor_critic import ActorCriticLearner, minibatches
from rldistill.train.learners import Memory

STUDENT, PEER = 0, 1


@final
class DualLearner:
    """Two actor-critics with random weights of their own; the peer acts in rounds 0, 2, 4, ...

    In its round each first follows the policy gradient of the reward on what it did, the peer with
    lambda times the loss to the loaded teacher beside it, and then descends, on the states that the
    other met in the round before,

        l(other(s), own(s)) min(exp(alpha (V_other(s) - V_own(s)) / sigma), LARGEST_GATE)

    where sigma is the deviation of returns. The student never sees the loaded teacher, and the
    teacher needs no value: the peer's critic learns what the peer is worth.

    Source: Lai et al. 2020 (arXiv:2006.04061), section 3.3 and algorithm 1, which has no teacher.

    Attributes:
        alignment: the loss from the loaded teacher to the peer.
        loss_weight: lambda of this round, of that loss.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        teacher: NetworkPolicy,
        method: Method,
        alignment: Alignment,
        generator: torch.Generator,
    ) -> None:
        settings = method.learner
        assert isinstance(settings, Peer)
        plain = replace(method, learner=None, teacher_temperature=Temperature())
        alone = replace(plain, loss=None, loss_weight=ALWAYS)
        led = replace(method, learner=None)
        peer = another_like(student)
        self.alignment = alignment
        self.loss_weight = 1.0
        self._method, self._settings, self._generator = method, settings, generator
        self._pair = (
            ActorCriticLearner(student, teacher, alone, alignment, generator),
            ActorCriticLearner(peer, teacher, led, alignment, generator),
        )
        head = student.info.head
        self._between = Alignment(method.loss, head, head, 1.0, 1.0, method.js_beta)
        self._turn = PEER
        self._states: list[Tensor | None] = [None, None]

    @property
    def student(self) -> NetworkPolicy:
        """The student, not its peer."""
        return self._pair[STUDENT].student

    @property
    def peer(self) -> NetworkPolicy:
        """The other."""
        return self._pair[PEER].student

    @property
    def acting(self) -> NetworkPolicy:
        """Whose turn it is."""
        return self._pair[self._turn].student

    @property
    def tested(self) -> NetworkPolicy:
        """The student's running average, which is tested and saved."""
        return self._pair[STUDENT].tested

    @property
    def updates(self) -> int:
        """Optimiser steps of both."""
        return sum(learner.updates for learner in self._pair)

    @property
    def is_finite(self) -> bool:
        """Whether no weight of either is NaN or infinite."""
        return all(learner.is_finite for learner in self._pair)

    def learn(self, memory: Memory, num_updates: int) -> float:
        """num_updates steps of whoever acted, then passes over the other's latest states.

        Returns:
            In the student's turn the mean loss to the peer; in the peer's that to the teacher.

        Raises:
            NotFiniteError: a reward or a loss is NaN or infinite.
        """
        assert isinstance(memory, LatestRound)
        turn, other = self._turn, 1 - self._turn
        self._pair[PEER].alignment = self.alignment
        self._pair[PEER].loss_weight = self.loss_weight
        shown = self._pair[turn].learn(memory, num_updates)
        trajectory = memory.trajectory
        self._states[turn] = trajectory.observations[trajectory.valid]
        states = self._states[other]
        if states is not None:
            apart = self._follow(self._pair[turn], self._pair[other], states)
            shown = apart if turn == STUDENT else shown
        self._turn = other
        return shown

    def weights(self, own: ActorCriticLearner, other: ActorCriticLearner, states: Tensor) -> Tensor:
        """Of the loss in each state [N]: above 1 where the other is better."""
        gap = (other.values(states) - own.values(states)) / own.unit
        return (self._settings.alpha * gap).exp().clamp(max=LARGEST_GATE)

    def _follow(self, own: ActorCriticLearner, other: ActorCriticLearner, states: Tensor) -> float:
        """Passes over the other's states; the mean loss, not weighed."""
        with torch.no_grad():
            targets = other.student.module(states)
        weights = self.weights(own, other, states)
        size = self._method.learning.batch_size
        count = self._settings.passes * -(-len(states) // size)
        total = torch.zeros((), device=states.device)
        with own.training():
            for rows in minibatches(len(states), size, count, self._generator):
                index = rows.to(states.device)
                apart = self._between(targets[index], own.student.module(states[index]))
                own.step((weights[index] * apart).mean())
                total += apart.detach().mean()
        return own.finite(float(total) / count)

    def fit_normaliser(self, observations: Tensor) -> None:
        """Fit the input normalisers of both on observations [N, O]."""
        for learner in self._pair:
            learner.fit_normaliser(observations)

    def state_dict(self) -> dict[str, Any]:
        """Both learners, whose turn it is, and the states that the next one learns from."""
        kept = {str(i): states for i, states in enumerate(self._states) if states is not None}
        student, peer = (learner.state_dict() for learner in self._pair)
        return {"student": student, "peer": peer, "turn": self._turn, "states": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self._pair[STUDENT].load_state_dict(state["student"])
        self._pair[PEER].load_state_dict(state["peer"])
        self._turn = int(state["turn"])
        device = self.student.device
        self._states = [None, None]
        for key, states in state["states"].items():
            self._states[int(key)] = states.to(device)
