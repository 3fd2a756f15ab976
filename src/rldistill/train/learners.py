"""The per-state learner: minimise a loss between teacher and student, state by state."""

import copy
from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.core import NetworkPolicy
from rldistill.data.replay import Replay
from rldistill.errors import NotFiniteError
from rldistill.methods.method import Learning
from rldistill.methods.terms import Alignment
from rldistill.students.mlp import InputNormaliser


@final
class PerStateLearner:
    """Takes optimiser steps on mean_i l(teacher_raw_i, student(observation_i)).

    Attributes:
        student: the network that is being trained; it is the one that acts while collecting.
        tested: the running average of its weights, or itself where averaging is off: the network
            that is tested and saved.
        updates: optimiser steps taken so far.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        alignment: Alignment,
        learning: Learning,
        generator: torch.Generator,
    ) -> None:
        self.student = student
        self.alignment = alignment
        self.learning = learning
        self.generator = generator
        self.updates = 0
        self._parameters = list(student.module.parameters())
        self._optimiser = _optimiser(learning, self._parameters)
        self.tested = student
        if learning.average > 0.0:
            average = copy.deepcopy(student.module).requires_grad_(False)
            self.tested = NetworkPolicy(average, student.info)
        self._averaged = list(self.tested.module.parameters())

    def learn(self, memory: Replay, num_updates: int) -> float:
        """Take num_updates steps on uniform batches from memory.

        Returns:
            The mean loss over these updates, in the loss's own units (nats for divergences).

        Raises:
            NotFiniteError: the loss became NaN or infinite.
        """
        total = torch.zeros((), device=self._parameters[0].device)
        for _ in range(num_updates):
            observations, teacher_raw = memory.sample(self.learning.batch_size, self.generator)
            total += self._update(observations, teacher_raw)
        loss = float(total) / max(num_updates, 1)
        if loss != loss or abs(loss) == float("inf"):
            raise NotFiniteError(
                f"the loss became {loss} after {self.updates} updates: lower the learning rate "
                f"(now {self.learning.learning_rate:g}) or choose a bounded loss such as js"
            )
        return loss

    def _update(self, observations: Tensor, teacher_raw: Tensor) -> Tensor:
        loss = self.alignment(teacher_raw, self.student.module(observations)).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.learning.max_grad_norm > 0.0:
            nn.utils.clip_grad_norm_(self._parameters, self.learning.max_grad_norm)
        self._optimiser.step()
        self.updates += 1
        if self.tested is not self.student:
            # A young average follows quickly, so that it does not remember the random start.
            decay = min(self.learning.average, self.updates / (self.updates + 10.0))
            with torch.no_grad():
                for average, own in zip(self._averaged, self._parameters, strict=True):
                    average.lerp_(own, 1.0 - decay)
        return loss.detach()

    def fit_normaliser(self, observations: Tensor) -> None:
        """Fit the student's input normaliser on observations [N, O], for both networks.

        A finished student has none any more: its weights already see raw observations.
        """
        for network in (self.student.module, self.tested.module):
            normaliser = getattr(network, "normaliser", None)
            if isinstance(normaliser, InputNormaliser):
                normaliser.fit(observations)

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite, also in the running average."""
        return all(bool(p.isfinite().all()) for p in (*self._parameters, *self._averaged))

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, optimiser and counters: all that resuming needs."""
        return {
            "student": self.student.module.state_dict(),
            "tested": self.tested.module.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self.student.module.load_state_dict(state["student"])
        self.tested.module.load_state_dict(state["tested"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.updates = int(state["updates"])


def _optimiser(learning: Learning, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if learning.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=learning.learning_rate, alpha=0.95, eps=1e-2)
    return torch.optim.Adam(parameters, lr=learning.learning_rate, fused=True)
