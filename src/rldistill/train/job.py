"""Job: everything one run needs, made and checked before the first step is taken."""

from dataclasses import dataclass
from typing import Any, final

from rldistill.core import Head, Policy, PolicyInfo
from rldistill.data.replay import Replay
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import TaskError
from rldistill.evaluation.prove import Prover
from rldistill.evaluation.summary import Sides
from rldistill.methods.terms import align, mean_action_gap, needs_action_gap
from rldistill.rollout.control import Randomness
from rldistill.train.keeper import Keeper
from rldistill.train.learners import PerStateLearner
from rldistill.train.settings import Settings
from rldistill.train.sources import Labelled, Source
from rldistill.train.state import RunState


@final
@dataclass(slots=True, kw_only=True)
class Job:
    """One run, ready for the loop.

    Attributes:
        settings: as asked.
        task: the task as asked; None for a dataset alone.
        task_info: the task as it is.
        teacher_info: who is distilled.
        source: gives labelled states.
        memory: keeps them.
        learner: learns from them, and holds the student.
        prover: tests the student; None without a task or a teacher.
        keeper: writes the run folder.
        state: counters.
        randomness: saved in checkpoints.
        num_threads: torch threads while the loop runs.
        notes: lines for people, shown at the start.
    """

    settings: Settings
    task: TaskSpec | None
    task_info: TaskInfo | None
    teacher_info: PolicyInfo
    source: Source
    memory: Replay
    learner: PerStateLearner
    prover: Prover | None
    keeper: Keeper
    state: RunState
    randomness: Randomness
    num_threads: int
    notes: tuple[str, ...]

    def round_steps(self) -> int:
        """Steps of the next round: the row's own, or what is left."""
        return min(
            self.settings.row.round_steps, self.settings.total_steps - self.state.env_steps
        )

    def begin(self, first: Labelled) -> None:
        """Fit what depends on the first states: the input normaliser, a relative temperature."""
        observations = first.observations[first.valid]
        self.learner.fit_normaliser(observations)
        if needs_action_gap(self.settings.row, self.teacher_info.head):
            self.state.action_gap = mean_action_gap(first.teacher_raw[first.valid])
            self.restore_alignment()

    def restore_alignment(self) -> None:
        """Make the loss anew from the action gap in the state."""
        self.learner.alignment = align(
            self.settings.row,
            self.teacher_info.head,
            self.learner.student.info.head,
            self.state.action_gap,
        )

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be taken over."""
        return {
            "task": self.task_json(),
            "teacher": self.teacher_info.fingerprint,
            "student": self.learner.student.info.name,
            "method": self.settings.row.name,
            "seed": self.settings.seed,
            "floor": self.settings.floor,
        }

    def task_json(self) -> dict[str, Any] | None:
        """The task as plain JSON types."""
        if self.task is None or self.task_info is None:
            return None
        return {
            "id": self.task_info.id,
            "backend": self.task_info.backend,
            "env_kwargs": dict(self.task.env_kwargs),
            "wrapper": self.task.wrapper,
        }

    def sides(self, student_parameters: int) -> Sides:
        """Who is compared with whom."""
        return Sides(
            student_act=str(self.settings.student_act),
            teacher_act=str(self.settings.teacher_act),
            student_parameters=student_parameters,
            teacher_parameters=self.teacher_info.acting_parameters,
        )


def check_fit(policy: Policy, task: TaskInfo) -> None:
    """Raise unless the policy can play the task.

    Raises:
        TaskError: the observation shapes or the action spaces differ; both are named.
    """
    seen, given = policy.info.observation_shape, task.observation_space.shape
    if seen != given:
        raise TaskError(
            f"{policy.info.name} ({policy.info.source}) expects observations of shape {seen}; "
            f"{task.id} gives {given}: is it the right task, and the right wrapper?"
        )
    head = policy.info.head
    discrete = hasattr(task.action_space, "n")
    wanted = getattr(head, "num_actions", None)
    have = int(task.action_space.n) if discrete else None  # pyright: ignore
    if wanted != have or (not discrete and len(head.low) != task.action_space.shape[0]):  # pyright: ignore
        raise TaskError(
            f"{policy.info.name} ({policy.info.source}) has {_actions(wanted, head)}; "
            f"{task.id} has {task.action_space}: is it the right task?"
        )


def _actions(count: int | None, head: Head) -> str:
    if count is not None:
        return f"{count} discrete actions"
    return f"{len(head.low)} continuous actions"  # pyright: ignore
