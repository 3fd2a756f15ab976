"""The per-state learner of students that remember: the same loss, over windows of sequences."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from rldistill.core import NetworkPolicy, Recurrent
from rldistill.data.sequences import Block, SequenceReplay
from rldistill.methods.method import Method
from rldistill.methods.terms import Alignment
from rldistill.train.actor_critic import minibatches
from rldistill.train.learners import Memory, OneStudent, finite_loss
from rldistill.train.stepper import Stepper


@final
class SequenceLearner(OneStudent):
    """Takes optimiser steps on mean_t l(teacher_raw_t, student(o_0, ..., o_t)).

    The gradient goes back through a window (truncated backpropagation through time). A row without
    memory goes over its round in shuffled passes, in each of which every valid step counts once; a
    row with one draws windows uniformly.

    Source: Williams and Peng 1990 (truncated backpropagation); Kapturowski et al. 2019 (R2D2:
    stored states and burn-in).

    Attributes:
        alignment: the loss.
        loss_weight: lambda; the loss is multiplied by it.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        alignment: Alignment,
        method: Method,
        generator: torch.Generator,
    ) -> None:
        self.alignment = alignment
        self.loss_weight = 1.0
        self._method = method
        self._generator = generator
        self._stepper = Stepper(student, method.learning)

    def learn(self, memory: Memory, num_updates: int) -> float:
        """Take num_updates steps on batches of windows.

        Returns:
            The mean loss over these updates, in the loss's own units (nats for divergences).

        Raises:
            NotFiniteError: the loss became NaN or infinite.
        """
        assert isinstance(memory, SequenceReplay)
        total = torch.zeros((), device=self._stepper.device)
        with self._stepper.training():
            for chosen in self._batches(memory, num_updates):
                loss = self.loss(memory.batch(chosen))
                self._stepper.step(loss if self.loss_weight == 1.0 else self.loss_weight * loss)
                total += loss.detach()
        return finite_loss(float(total) / max(num_updates, 1), self._stepper)

    def _batches(self, memory: SequenceReplay, num_updates: int) -> Iterator[Tensor]:
        """Numbers of the windows of each update: of about batch_size steps."""
        size = max(1, self._method.learning.batch_size // memory.window.length)
        count = memory.num_windows
        if self._method.memory == 0:
            yield from minibatches(count, size, num_updates, self._generator)
            return
        for _ in range(num_updates):
            device = self._generator.device
            yield torch.randint(count, (size,), generator=self._generator, device=device)

    def loss(self, windows: list[Block]) -> Tensor:
        """The mean loss [] over the counted steps of these windows."""
        network = self.student.module
        assert isinstance(network, Recurrent), "make_learner() gives others the per-state learner"
        apart = [
            self.alignment(block.teacher_raw[block.counted], block.unroll(network))
            for block in windows
        ]
        return torch.cat(apart).mean()
