"""Parts of merge(): one task with its teacher and memory, and the learner of all of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from rldistill.core import NetworkPolicy, QValueHead
from rldistill.data.replay import Replay
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import NotFiniteError
from rldistill.evaluation.prove import Prover
from rldistill.evaluation.scores import training_seed
from rldistill.methods.method import Learning, Method
from rldistill.methods.terms import Alignment, align, mean_action_gap, needs_action_gap
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller
from rldistill.train.stepper import Stepper

# Vector steps between two looks at whether every environment has ended an episode.
CHUNK = 16

# From the whole student to its part for one task.
PartOf = Callable[[NetworkPolicy, int], NetworkPolicy]


@final
@dataclass(slots=True, kw_only=True)
class MergedTask:
    """One task: its teacher, its memory, its loss, its verdict.

    Attributes:
        task: what is played.
        info: what it is like.
        teacher: who acts and labels.
        memory: states and labels of this task alone.
        alignment: the loss.
        prover: tests the student here.
        controller: who acts.
        num_envs: environments stepped together.
        seed: of the run.
        action_gap: measured in the first turn, for a relative temperature.
        env_steps: taken here so far.
        collector: once opened.
    """

    task: TaskSpec
    info: TaskInfo
    teacher: NetworkPolicy
    memory: Replay
    alignment: Alignment
    prover: Prover
    controller: Controller
    num_envs: int
    seed: int
    action_gap: float | None = None
    env_steps: int = 0
    collector: Collector | None = None

    def open(self, round_index: int, device: torch.device) -> AbstractContextManager[object]:
        """Make the environments; returns them, to be closed."""
        env = make(self.task, self.num_envs, training_seed(self.seed, round_index))
        self.collector = Collector(env, self.controller, device)
        return env

    def turn(self, method: Method, most_steps: int, round_index: int) -> int:
        """Play until as many episodes have ended as there are environments, or for most_steps.

        Returns:
            The steps taken.
        """
        assert self.collector is not None, "open() comes first"
        steps, ended = 0, 0
        while steps < most_steps and ended < self.num_envs:
            length = min(CHUNK, -(-(most_steps - steps) // self.num_envs))
            seen = self.collector.collect(length * self.num_envs, round_index)
            labels, valid = seen.teacher_raw.flatten(0, 1), seen.valid.flatten()
            if self.action_gap is None and needs_action_gap(method, self.teacher.info.head):
                self.action_gap = mean_action_gap(labels[valid])
                self.restore_alignment(method)
            self.memory.add(seen.observations.flatten(0, 1), labels, valid)
            steps += max(seen.num_steps, 1)  # never for ever, where all start over at once
            ended += int((seen.terminated | seen.truncated).sum())
        self.env_steps += steps
        return steps

    def restore_alignment(self, method: Method) -> None:
        """Make the loss anew from the action gap."""
        heads = self.teacher.info.head, self.alignment.student_head
        self.alignment = align(method, *heads, self.action_gap)


@final
class MergeLearner:
    """Takes optimiser steps on one student, each on a minibatch of one task drawn at random.

    Source: Rusu et al. 2016 (arXiv:1511.06295), appendix A: a memory per game, each minibatch from
    one randomly chosen game.

    Attributes:
        losses: mean loss of each task over its latest minibatches.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        part_of: PartOf,
        num_tasks: int,
        learning: Learning,
        generator: torch.Generator,
    ) -> None:
        self.losses = [float("nan")] * num_tasks
        self._num_tasks = num_tasks
        self._part_of = part_of
        self._learning = learning
        self._generator = generator
        self._stepper = Stepper(student, learning)
        self._parts = [part_of(student, index) for index in range(num_tasks)]

    @property
    def tested(self) -> NetworkPolicy:
        """All of the student that is tested and saved."""
        return self._stepper.tested

    @property
    def updates(self) -> int:
        """Optimiser steps taken so far."""
        return self._stepper.updates

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return self._stepper.is_finite

    def part(self, index: int) -> NetworkPolicy:
        """The tested student's part for one task."""
        return self._part_of(self.tested, index)

    def learn(self, tasks: Sequence[MergedTask], num_updates: int) -> float:
        """Take num_updates steps.

        Returns:
            The mean loss, in the loss's own unit.

        Raises:
            NotFiniteError: it became NaN or infinite.
        """
        device = self._stepper.device
        totals, counts = torch.zeros(len(tasks), device=device), [0] * len(tasks)
        order = torch.randint(len(tasks), (num_updates,), generator=self._generator).tolist()
        with self._stepper.training():
            for index in order:
                totals[index] += self._update(tasks[index], index)
                counts[index] += 1
        sums = totals.tolist()
        for index, count in enumerate(counts):
            if count:
                self.losses[index] = sums[index] / count
        loss = sum(sums) / max(num_updates, 1)
        if loss != loss or abs(loss) == float("inf"):
            raise NotFiniteError(
                f"the loss became {loss} after {self.updates} updates: lower the learning rate "
                f"(now {self._learning.learning_rate:g})"
            )
        return loss

    def _update(self, task: MergedTask, index: int) -> Tensor:
        seen, labels = task.memory.sample(self._learning.batch_size, self._generator)
        loss = task.alignment(labels, self._parts[index].module(seen)).mean()
        self._stepper.step(loss)
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, optimiser and counters."""
        return self._stepper.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self._stepper.load_state_dict(state)


def spread_of(labels: Tensor) -> float:
    """The mean over states of the standard deviation of Q over actions: the scale of a teacher.

    >>> spread_of(torch.tensor([[0.0, 2.0], [1.0, 1.0]]))
    0.5
    """
    return float(labels.double().std(-1, correction=0).mean())


def is_q_network(policy: NetworkPolicy) -> bool:
    """Whether its outputs are Q-values."""
    return isinstance(policy.info.head, QValueHead)
