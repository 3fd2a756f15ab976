"""Where labelled states come from: environments under a control policy, or a dataset."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    Head,
    NetworkPolicy,
    Policy,
    PolicyInfo,
    Trajectory,
)
from rldistill.data.minari import MinariDataset
from rldistill.data.rows import Dataset, Rows
from rldistill.data.shards import ShardDataset
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.evaluation.scores import training_seed
from rldistill.rollout.collect import Collector, label, require_labels
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
        trajectory: the same, in order; None for a dataset.
        teacher: who made the labels, where that may change from round to round; else None.
    """

    observations: Tensor
    teacher_raw: Tensor
    valid: Tensor
    num_steps: int
    trajectory: Trajectory | None = None
    teacher: NetworkPolicy | None = None

    def student_raw(self, student: NetworkPolicy) -> Tensor:
        """A student's raw outputs in the valid states [N, outputs], with what it remembered."""
        played = self.trajectory
        if played is None or not student.info.is_recurrent:
            return student.raw(self.observations[self.valid])
        raw, _ = student.unroll(played.observations, played.carried.student, played.starts)
        return raw.flatten(0, 1)[self.valid]


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
        keep_teacher: rounds hold what the teacher saw, where that is something else.
    """

    task: TaskSpec
    num_envs: int
    seed: int
    controller: Controller
    device: torch.device
    collector: Collector | None = None
    keep_teacher: bool = False

    def open(self, round_index: int) -> AbstractContextManager[object]:
        env = make(self.task, self.num_envs, training_seed(self.seed, round_index))
        self.collector = Collector(
            env, self.controller, self.device, keep_teacher=self.keep_teacher
        )
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
            trajectory,
        )


@final
class DatasetSource:
    """Labelled states from a dataset: its rows once, as many at first as the memory holds.

    A teacher labels the rows again; without one the stored labels are taken, and without labels the
    recorded actions: all probability on the action that was taken, or the action itself.

    Attributes:
        dataset: the rows.
        teacher: labels them, or None.
        capacity: rows that the memory holds.
        device: where the tensors go.
    """

    def __init__(
        self, dataset: Dataset, teacher: Policy | None, capacity: int, device: torch.device
    ) -> None:
        self.dataset = dataset
        self.teacher = teacher
        self.capacity = capacity
        self.device = device
        self._pieces: Iterator[Rows] = iter(())

    def open(self, round_index: int) -> AbstractContextManager[object]:
        # A resumed run has its rows in the memory, unless that was too large to save; reading them
        # again does no harm, since they replace themselves.
        del round_index
        self._pieces = self.dataset.iterate()
        return nullcontext()

    @torch.no_grad()
    def next_round(self, num_steps: int, round_index: int) -> Labelled:
        """The next rows, none once all were given; num_steps is counted whatever came."""
        wanted = self.capacity if round_index == 0 else num_steps
        observations: list[Tensor] = []
        labels: list[Tensor] = []
        for piece in self._pieces:
            observations.append(torch.from_numpy(piece.observations).to(self.device))
            labels.append(self._label(piece, observations[-1]))
            wanted -= len(piece)
            if wanted <= 0:
                break
        if not observations:
            empty = torch.zeros((0, *self.dataset.observation_shape), device=self.device)
            raw = torch.zeros((0, self.num_outputs), device=self.device)
            return Labelled(empty, raw, torch.zeros(0, dtype=torch.bool), num_steps)
        rows = torch.cat(observations)
        valid = torch.ones(len(rows), dtype=torch.bool)
        return Labelled(rows, torch.cat(labels), valid, num_steps)

    @property
    def num_outputs(self) -> int:
        """Width of a label."""
        if self.teacher is not None:
            return self.teacher.info.head.num_outputs
        return recorded_info(self.dataset, "").head.num_outputs

    def _label(self, piece: Rows, observations: Tensor) -> Tensor:
        if self.teacher is not None:
            return label(self.teacher, observations[None], [None])[0]
        if piece.teacher_raw is not None:
            labels = torch.from_numpy(piece.teacher_raw).to(self.device)
            require_labels(labels, "the dataset's labels hold NaN or infinity: collect it again")
            return labels
        actions = torch.from_numpy(piece.actions).to(self.device)
        if not isinstance(self.dataset.action_space, spaces.Discrete):
            return actions
        chosen = torch.nn.functional.one_hot(actions, int(self.dataset.action_space.n)).bool()
        return torch.where(chosen, 0.0, -torch.inf)


def recorded_info(dataset: Dataset, source: str) -> PolicyInfo:
    """Whose labels a dataset holds, where no teacher makes new ones."""
    shape = dataset.observation_shape
    if isinstance(dataset, ShardDataset):
        meta = dataset.meta
        name, fingerprint, head = meta.teacher_name, meta.teacher_fingerprint, meta.head
        note = f"none: the labels of {name} stored in {source}"
    else:
        name, fingerprint, head = "recorded actions", source, _head_of_actions(dataset.action_space)
        note = f"none: the recorded actions of {source}"
    return PolicyInfo(
        name=name,
        framework="dataset",
        observation_shape=shape,
        head=head,
        acting_parameters=0,
        parameters=0,
        fingerprint=fingerprint,
        source=source,
        notes=(note,),
    )


def dataset_task(dataset: Dataset) -> TaskSpec | None:
    """The task that a dataset says it is from, arguments included, if it says one."""
    if isinstance(dataset, ShardDataset):
        return TaskSpec(id=dataset.meta.task_id, env_kwargs=dict(dataset.meta.env_kwargs))
    if isinstance(dataset, MinariDataset) and dataset.task.id:
        return TaskSpec(id=dataset.task.id, env_kwargs=dict(dataset.task.env_kwargs))
    return None


def _head_of_actions(space: spaces.Discrete | spaces.Box) -> Head:
    if isinstance(space, spaces.Discrete):
        return CategoricalHead(int(space.n))
    low, high = (tuple(float(x) for x in bound) for bound in (space.low, space.high))
    return DeterministicHead(low, high)


def open_dataset(name: str | Path) -> Dataset:
    """A folder of shards, or "minari:NAME".

    Raises:
        DatasetError: there is none, or it is damaged.
        MissingExtraError: minari is not installed.
    """
    text = str(name)
    if text.startswith("minari:"):
        return MinariDataset(text.removeprefix("minari:"))
    return ShardDataset(Path(name))
