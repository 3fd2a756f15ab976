"""Where labelled states come from: environments under a control policy, or a dataset."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from rldistill.core import Policy
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import DatasetError
from rldistill.evaluation.scores import training_seed
from rldistill.rollout.collect import Collector, label
from rldistill.rollout.control import Controller


@final
@dataclass(frozen=True, slots=True)
class Labelled:
    """States with the teacher's raw outputs.

    Attributes:
        observations: [N, ...].
        teacher_raw: [N, outputs of the teacher's head].
        valid: [N] bool; False for phantom steps, which must not be learnt from.
        num_steps: environment steps that this took (dataset rows, for a dataset).
    """

    observations: Tensor
    teacher_raw: Tensor
    valid: Tensor
    num_steps: int


class Source(Protocol):
    """Gives a round of labelled states; a context that holds what it opened."""

    def open(self, round_index: int) -> AbstractContextManager[object]:
        """Get ready to go on from round `round_index`."""
        ...

    def next_round(self, num_steps: int, round_index: int) -> Labelled:
        """About num_steps states for round `round_index`; none once a dataset is exhausted."""
        ...


@final
@dataclass(slots=True)
class EnvironmentSource:
    """Labelled states from stepping environments under a control policy.

    Attributes:
        task: what is played.
        num_envs: environments stepped together.
        seed: of the run.
        controller: who acts.
        device: of the policies.
        collector: once opened.
    """

    task: TaskSpec
    num_envs: int
    seed: int
    controller: Controller
    device: torch.device
    collector: Collector | None = None

    def open(self, round_index: int) -> AbstractContextManager[object]:
        env = make(self.task, self.num_envs, training_seed(self.seed, round_index))
        self.collector = Collector(env, self.controller, self.device)
        return env

    def next_round(self, num_steps: int, round_index: int) -> Labelled:
        assert self.collector is not None, "open() comes first"
        if self.task.vector_env is not None:
            # Testing plays in the same live object, so the last episode is not ours any more.
            self.collector.observations = None
        trajectory = self.collector.collect(num_steps, round_index)
        return Labelled(
            trajectory.observations.flatten(0, 1),
            trajectory.teacher_raw.flatten(0, 1),
            trajectory.valid.flatten(),
            trajectory.num_steps,
        )


class Rows(Protocol):
    """A dataset as rows in a fixed order."""

    def __len__(self) -> int: ...

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        """Observations [N, ...] and stored labels [N, outputs], or None where there are none."""
        ...


@final
@dataclass(slots=True)
class DatasetSource:
    """Labelled states from a dataset, each row once; a teacher labels rows that have no label.

    Attributes:
        dataset: the rows.
        teacher: labels the rows again where given; None keeps the stored labels.
        device: where the tensors go.
        position: rows given out so far.
    """

    dataset: Rows
    teacher: Policy | None
    device: torch.device
    position: int = 0

    def open(self, round_index: int) -> AbstractContextManager[object]:
        del round_index
        return nullcontext()

    @torch.no_grad()
    def next_round(self, num_steps: int, round_index: int) -> Labelled:
        """The next num_steps rows.

        Raises:
            DatasetError: a row has no label and there is no teacher.
        """
        del round_index
        stop = min(self.position + num_steps, len(self.dataset))
        observations, stored = self.dataset.rows(self.position, stop)
        self.position = stop
        observations = observations.to(self.device)
        if self.teacher is not None:
            stored = label(self.teacher, observations[None], [None])[0]
        if stored is None:
            raise DatasetError("the dataset has no labels: give a teacher to label its states")
        valid = torch.ones(len(observations), dtype=torch.bool, device=self.device)
        return Labelled(observations, stored.to(self.device), valid, num_steps)
