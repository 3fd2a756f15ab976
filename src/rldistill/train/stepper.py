"""Stepper: one optimiser, gradient clipping, and the running average of a student's weights."""

import copy
from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.core import NetworkPolicy
from rldistill.methods.method import Learning


@final
class Stepper:
    """Takes optimiser steps on a student, and on a critic where there is one.

    Attributes:
        student: the network that is trained; it is the one that acts while collecting.
        tested: the running average of its weights, or itself where averaging is off: the network
            that is tested and saved.
        critic: trained beside it, or None.
        updates: optimiser steps taken so far.
    """

    def __init__(
        self, student: NetworkPolicy, learning: Learning, critic: nn.Module | None = None
    ) -> None:
        self.student = student
        self.learning = learning
        self.critic = critic
        self.updates = 0
        self._own = list(student.module.parameters())
        self._critic = [] if critic is None else list(critic.parameters())
        self._optimiser = _optimiser(learning, [*self._own, *self._critic])
        self.tested = student
        if learning.average > 0.0:
            average = copy.deepcopy(student.module).requires_grad_(False)
            self.tested = NetworkPolicy(average, student.info)
        self._averaged = list(self.tested.module.parameters())

    @property
    def device(self) -> torch.device:
        """Where the student lives."""
        return self._own[0].device

    def step(self, loss: Tensor) -> None:
        """One step down the gradient of loss []."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.learning.max_grad_norm > 0.0:
            # Apart: a young critic's large gradients must not stop the student.
            for parameters in (self._own, self._critic):
                nn.utils.clip_grad_norm_(parameters, self.learning.max_grad_norm)
        self._optimiser.step()
        self.updates += 1
        if self.tested is not self.student:
            # A young average follows quickly, so that it does not remember the random start.
            decay = min(self.learning.average, self.updates / (self.updates + 10.0))
            with torch.no_grad():
                for average, own in zip(self._averaged, self._own, strict=True):
                    average.lerp_(own, 1.0 - decay)

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite, also in the running average."""
        every = (*self._own, *self._averaged, *self._critic)
        return all(bool(p.isfinite().all()) for p in every)

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, optimiser and counters: all that resuming needs."""
        state = {
            "student": self.student.module.state_dict(),
            "tested": self.tested.module.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "updates": self.updates,
        }
        return state if self.critic is None else state | {"critic": self.critic.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self.student.module.load_state_dict(state["student"])
        self.tested.module.load_state_dict(state["tested"])
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.updates = int(state["updates"])


def _optimiser(learning: Learning, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if learning.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=learning.learning_rate, alpha=0.95, eps=1e-2)
    return torch.optim.Adam(parameters, lr=learning.learning_rate, fused=True)
