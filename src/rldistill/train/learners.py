"""The per-state learner: minimise a loss between teacher and student, state by state."""

import copy
from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.core import NetworkPolicy
from rldistill.data.replay import Replay
from rldistill.errors import NotFiniteError, ShapeError
from rldistill.methods.method import Learning
from rldistill.methods.terms import Alignment
from rldistill.students.mlp import Mlp
from rldistill.students.weights import differences


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
        self._parameters = trainable(student.module)
        self._optimiser = _optimiser(learning, self._parameters)
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

    def learn(self, memory: Replay, num_updates: int) -> float:
        """Take num_updates steps on uniform batches from memory.

        Returns:
            The mean loss over these updates, in the loss's own units (nats for divergences).

        Raises:
            NotFiniteError: the loss became NaN or infinite.
        """
        total = torch.zeros((), device=self._parameters[0].device)
        self.student.module.train()
        for part in self._kept_in_evaluation:
            part.eval()
        try:
            for _ in range(num_updates):
                observations, teacher_raw = memory.sample(self.learning.batch_size, self.generator)
                total += self._update(observations, teacher_raw)
        finally:
            self.student.module.eval()
        for average, own in self._buffers:
            average.copy_(own)  # running statistics are averages already
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

        A finished student has none any more: its weights already see raw observations. Neither has
        a live module: what it does with its inputs is its maker's choice.
        """
        for network in (self.student.module, self.tested.module):
            if isinstance(network, Mlp) and network.normaliser is not None:
                network.normaliser.fit(observations)

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite, also in the running average, and no buffer NaN."""
        weights = (*self._parameters, *self._averaged)
        # A buffer may be infinite on purpose, as masks are.
        return all(bool(p.isfinite().all()) for p in weights) and not any(
            bool(own.isnan().any()) for _, own in self._buffers
        )

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, optimiser and counters: all that resuming needs."""
        return {
            "student": self.student.module.state_dict(),
            "tested": self.tested.module.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "updates": self.updates,
        }

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
        self._optimiser.load_state_dict(state["optimiser"])
        self.updates = int(state["updates"])


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that may move, each once."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def moving(module: nn.Module) -> list[Tensor]:
    """The buffers that calling a module may move, as batch normalisation does; none of an Mlp's."""
    return [] if isinstance(module, Mlp) else list(module.buffers())


def _optimiser(learning: Learning, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if learning.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=learning.learning_rate, alpha=0.95, eps=1e-2)
    return torch.optim.Adam(parameters, lr=learning.learning_rate, fused=True)
