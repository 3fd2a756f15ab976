"""The per-state learner: minimise a loss between teacher and student, state by state."""

from abc import ABC
from typing import Any, Protocol, final

import torch
from torch import Tensor

from rldistill.core import NetworkPolicy
from rldistill.data.frames import FrameReplay
from rldistill.data.latest import LatestRound
from rldistill.data.replay import Replay
from rldistill.data.sequences import SequenceReplay
from rldistill.data.transitions import Transitions
from rldistill.errors import NotFiniteError
from rldistill.methods.method import Learning
from rldistill.methods.terms import Alignment
from rldistill.students.families import family_of
from rldistill.train.critic import Critic
from rldistill.train.stepper import Stepper

Memory = Replay | FrameReplay | LatestRound | SequenceReplay | Transitions


class Learner(Protocol):
    """What the loop asks of a learner.

    Attributes:
        alignment: the loss, made anew once a relative temperature is known.
        loss_weight: lambda of this round.
    """

    alignment: Alignment
    loss_weight: float

    @property
    def student(self) -> NetworkPolicy:
        """The network that is being trained."""
        ...

    @property
    def acting(self) -> NetworkPolicy:
        """The network that acts now while collecting, where the row's control lets it."""
        ...

    @property
    def tested(self) -> NetworkPolicy:
        """The network that is tested and saved."""
        ...

    @property
    def updates(self) -> int:
        """Optimiser steps taken so far."""
        ...

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        ...

    def learn(self, memory: Memory, num_updates: int) -> float:
        """Take num_updates optimiser steps; returns the mean loss."""
        ...

    def fit_normaliser(self, observations: Tensor) -> None:
        """Fit input normalisers on observations [N, O]."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that resuming needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        ...


class OneStudent(ABC):
    """What is the same of every learner that trains one student with one stepper."""

    _stepper: Stepper

    @property
    def student(self) -> NetworkPolicy:
        """The network that is being trained, and that acts while collecting."""
        return self._stepper.student

    @property
    def acting(self) -> NetworkPolicy:
        """The student."""
        return self.student

    @property
    def tested(self) -> NetworkPolicy:
        """The network that is tested and saved; see Stepper."""
        return self._stepper.tested

    @property
    def updates(self) -> int:
        """Optimiser steps taken so far."""
        return self._stepper.updates

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return self._stepper.is_finite

    def fit_normaliser(self, observations: Tensor) -> None:
        """Fit the input normalisers of student and critic on observations [N, ...]."""
        fit_normalisers(self._stepper, observations)

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, critic, optimiser and counters: all that resuming needs."""
        return self._stepper.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self._stepper.load_state_dict(state)


@final
class PerStateLearner(OneStudent):
    """Takes optimiser steps on mean_i l(teacher_raw_i, student(observation_i)).

    Attributes:
        alignment: the loss.
        loss_weight: lambda; the loss is multiplied by it.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        alignment: Alignment,
        learning: Learning,
        generator: torch.Generator,
    ) -> None:
        self.alignment = alignment
        self.loss_weight = 1.0
        self.generator = generator
        self._learning = learning
        self._stepper = Stepper(student, learning)

    def learn(self, memory: Memory, num_updates: int) -> float:
        """Take num_updates steps on uniform batches from a replay.

        Returns:
            The mean loss over these updates, in the loss's own units (nats for divergences).

        Raises:
            NotFiniteError: the loss became NaN or infinite.
        """
        assert isinstance(memory, Replay | FrameReplay)
        total = torch.zeros((), device=self._stepper.device)
        with self._stepper.training():
            for _ in range(num_updates):
                rows = memory.sample(self._learning.batch_size, self.generator)
                total += self._update(*rows)
        return finite_loss(float(total) / max(num_updates, 1), self._stepper)

    def _update(self, observations: Tensor, teacher_raw: Tensor) -> Tensor:
        loss = self.alignment(teacher_raw, self.student.module(observations)).mean()
        self._stepper.step(loss if self.loss_weight == 1.0 else self.loss_weight * loss)
        return loss.detach()


def fit_normalisers(stepper: Stepper, observations: Tensor) -> None:
    """Fit the input normalisers of student, average and critic on observations [N, ...].

    A live module has none: what it does with its inputs is its maker's choice.
    """
    for network in (stepper.student.module, stepper.tested.module):
        if (family := family_of(network)) is not None:
            family.fit_inputs(network, observations)
    if isinstance(stepper.critic, Critic):
        stepper.critic.normaliser.fit(observations)
    elif (family := family_of(stepper.critic)) is not None:
        family.fit_inputs(stepper.critic, observations)


def finite_loss(loss: float, stepper: Stepper) -> float:
    """The loss itself.

    Raises:
        NotFiniteError: it is NaN or infinite.
    """
    if loss != loss or abs(loss) == float("inf"):
        raise NotFiniteError(
            f"the loss became {loss} after {stepper.updates} updates: lower the learning rate "
            f"(now {stepper.learning.learning_rate:g}) or choose a bounded loss such as js"
        )
    return loss
