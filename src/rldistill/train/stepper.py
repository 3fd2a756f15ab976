"""Stepper: one optimiser, gradient clipping, and the running average of a student's weights."""

import copy
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.core import NetworkPolicy
from rldistill.errors import ShapeError
from rldistill.methods.method import Learning
from rldistill.students.families import family_of
from rldistill.students.weights import differences


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
        self._own = trainable(student.module)
        self._critic = [] if critic is None else list(critic.parameters())
        self._optimiser = _optimiser(learning, [*self._own, *self._critic])
        # A part that its maker left in evaluation mode, such as frozen statistics, stays there.
        modules = list(student.module.modules()) if student.module.training else []
        self._kept_in_evaluation = [part for part in modules if not part.training]
        self.tested = student
        if learning.average > 0.0:
            self.tested = NetworkPolicy(copy.deepcopy(student.module), student.info)
        self._averaged = trainable(self.tested.module)
        self._buffers = list(zip(moving(self.tested.module), moving(student.module), strict=True))
        if self.tested is not student:
            self.tested.module.requires_grad_(False)
        student.module.eval()
        self.tested.module.eval()

    @property
    def device(self) -> torch.device:
        """Where the student lives."""
        return self._own[0].device

    @contextmanager
    def training(self) -> Generator[None]:
        """While steps are taken: the student is in training mode, as its maker would have it."""
        self.student.module.train()
        for part in self._kept_in_evaluation:
            part.eval()
        try:
            yield
        finally:
            self.student.module.eval()
        for average, own in self._buffers:
            average.copy_(own)  # running statistics are averages already

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
        """Whether no weight is NaN or infinite, also in the running average, and no buffer NaN."""
        every = (*self._own, *self._averaged, *self._critic)
        # A buffer may be infinite on purpose, as masks are.
        return all(bool(p.isfinite().all()) for p in every) and not any(
            bool(own.isnan().any()) for _, own in self._buffers
        )

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
        """The inverse of state_dict.

        Raises:
            ShapeError: the weights are those of another network.
        """
        for name, network in (("student", self.student), ("tested", self.tested)):
            # A name of digits alone comes back from a checkpoint as a number.
            weights = {str(key): tensor for key, tensor in state[name].items()}
            if different := differences(weights, network.module.state_dict()):
                raise ShapeError(
                    f"the weights in the checkpoint are not those of this student, "
                    f"{self.student.info.name}: {different}"
                )
            network.module.load_state_dict(weights)
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.updates = int(state["updates"])


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that may move, each once."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def moving(module: nn.Module) -> list[Tensor]:
    """The buffers that calling a module may move, as batch normalisation does; ours have none."""
    return [] if family_of(module) is not None else list(module.buffers())


def _optimiser(learning: Learning, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if learning.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=learning.learning_rate, alpha=0.95, eps=1e-2)
    return torch.optim.Adam(parameters, lr=learning.learning_rate, fused=True)
