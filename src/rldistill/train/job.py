"""Job: everything one run needs, made and checked before the first step is taken."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.core import Categorical, NetworkPolicy, PolicyInfo
from rldistill.data.frames import FrameReplay
from rldistill.data.latest import LatestRound
from rldistill.data.replay import Replay
from rldistill.data.sequences import SequenceReplay
from rldistill.data.transitions import Transitions
from rldistill.envs.spec import TaskInfo, TaskSpec, plain_kwargs
from rldistill.evaluation.prove import Prover
from rldistill.evaluation.summary import Sides
from rldistill.methods.schedules import Weaning
from rldistill.methods.terms import (
    FLOOR,
    align,
    mean_action_gap,
    needs_action_gap,
    num_floored,
)
from rldistill.rollout.collect import label
from rldistill.rollout.control import Randomness
from rldistill.students.families import family_of
from rldistill.students.store import load_student
from rldistill.train.episodes import RecentReturns
from rldistill.train.fit import GrowingLearner, one_action
from rldistill.train.fit_critic import CriticFit
from rldistill.train.keeper import UNJUDGED, Keeper
from rldistill.train.learners import Learner, Memory
from rldistill.train.settings import Settings
from rldistill.train.sources import Labelled, Source
from rldistill.train.state import RunState

# Stacks of frames that are held apart from the memory, which keeps each frame once.
PIECE_BYTES = 2**27


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
        recipe: what recipe.toml says.
        give_back: writes the tested weights into what the user gave as a student.
        resume: continue the run in the folder.
        critic: the teacher's value, fitted before the first round; None: nothing is to be fitted.
        unjudged: why there is no verdict, where there is no prover.
        recent: returns of the latest training episodes, for weights that depend on them.
        following: what is followed, where the teacher moves.
    """

    settings: Settings
    task: TaskSpec | None
    task_info: TaskInfo | None
    teacher_info: PolicyInfo
    source: Source
    memory: Memory
    learner: Learner
    prover: Prover | None
    keeper: Keeper
    state: RunState
    randomness: Randomness
    num_threads: int
    notes: tuple[str, ...]
    recipe: dict[str, Any]
    give_back: Callable[[nn.Module], object]
    resume: bool
    critic: CriticFit | None = None
    unjudged: str = UNJUDGED
    recent: RecentReturns = field(default_factory=RecentReturns)
    following: str = ""

    def round_steps(self) -> int:
        """Steps of the next round: the row's own, or what is left."""
        return min(self.settings.row.round_steps, self.settings.total_steps - self.state.env_steps)

    def begin(self, first: Labelled) -> str:
        """Fit what depends on the first states: the input normaliser, a relative temperature.

        Returns:
            What they show and should be said; empty where it is nothing.
        """
        observations = first.observations[first.valid]
        self.learner.fit_normaliser(observations)
        if needs_action_gap(self.settings.row, self.teacher_info.head):
            self.state.action_gap = mean_action_gap(self.outputs_of(first)[first.valid])
            self.restore_alignment()
        raw = self.outputs_of(first)[first.valid]
        grown = isinstance(self.learner, GrowingLearner)
        warnings = [self._floored(raw), one_action(self.teacher_info.head, raw) if grown else ""]
        return "\n".join(line for line in warnings if line)

    def _floored(self, teacher_raw: Tensor) -> str:
        """That probabilities of the teacher are too small for their logarithm to count."""
        count = num_floored(self.settings.row, self.learner.alignment, teacher_raw)
        if count == 0:
            return ""
        return (
            f"warning  {count:,} of the teacher's {teacher_raw.numel():,} probabilities in the "
            f"first round are below {FLOOR:g}; their logarithms count as log {FLOOR:g}"
        )

    def collect(self) -> Labelled:
        """Collect a round and store it, in pieces where stacked frames would fill the memory.

        Returns:
            The round, or the last of its pieces, with the environment steps of them all.
        """
        left, taken = self.round_steps(), 0
        piece = left
        if isinstance(self.memory, FrameReplay):
            shape = self.learner.student.info.observation_shape
            piece = min(left, max(PIECE_BYTES // math.prod(shape), 1))
        while True:
            batch = self.source.next_round(min(piece, left), self.state.round_index)
            self.remember(batch, begins=taken == 0)
            self.watch(batch)
            taken += batch.num_steps
            left -= piece
            if left <= 0 or batch.num_steps == 0:
                return replace(batch, num_steps=taken)

    def remember(self, batch: Labelled, begins: bool = True) -> None:
        """Store a round, or a piece of one that it does or does not begin with.

        A row without memory forgets the rounds before, but never a dataset.
        """
        if isinstance(self.memory, LatestRound | Transitions):
            assert batch.trajectory is not None, "prepare() refuses datasets for such rows"
            if self.state.round_index > 0 and self.teacher_acts(-1) and not self.teacher_acts():
                # First on the teacher's data, then on the student's own (Agarwal et al. 2022).
                self.memory.clear()
            self.memory.put(batch.trajectory)
            return
        if batch.teacher is not None and batch.teacher.info != self.teacher_info:
            self.change_teacher(batch.teacher, self.outputs_of(batch)[batch.valid])
        if self.settings.row.memory == 0 and self.settings.data is None and begins:
            self.memory.clear()
        if isinstance(self.memory, SequenceReplay):
            assert batch.trajectory is not None, "prepare() refuses datasets for such students"
            self.memory.put(batch.trajectory, self.learner.student)
        elif isinstance(self.memory, FrameReplay):
            num_envs = 1 if batch.trajectory is None else batch.trajectory.rewards.shape[1]
            self.memory.add(batch.observations, batch.teacher_raw, batch.valid, num_envs)
        else:
            self.memory.add(batch.observations, batch.teacher_raw, batch.valid)

    def change_teacher(self, teacher: NetworkPolicy, outputs: Tensor) -> None:
        """Learn from another version of the teacher: what is stored is labelled anew.

        Args:
            teacher: the version.
            outputs: its raw outputs [N, ...] in the latest states, for a relative temperature.
        """
        assert isinstance(self.memory, Replay | FrameReplay), "prepare_following() refuses others"
        if self.task is None or self.task.one_view:
            self.memory.relabel(lambda seen: label(teacher, seen[None], [None])[0])
        else:  # what the teacher saw of the stored states is not stored
            self.memory.clear()
        self.teacher_info = teacher.info
        if needs_action_gap(self.settings.row, teacher.info.head) and len(outputs) > 0:
            self.state.action_gap = mean_action_gap(outputs)
            self.restore_alignment()
        if self.prover is not None:
            self.prover.change_teacher(teacher)

    def watch(self, batch: Labelled) -> None:
        """Note the returns of training episodes, where the weight of the loss depends on them."""
        if isinstance(self.settings.row.loss_weight, Weaning) and batch.trajectory is not None:
            # Rounds in a live vector environment begin anew: see EnvironmentSource.
            anew = self.task is not None and self.task.vector_env is not None
            self.recent.add(batch.trajectory, anew, counted=not self.teacher_acts())

    def weigh(self) -> None:
        """Set this round's weight of the loss."""
        weight, i = self.settings.row.loss_weight, self.state.round_index
        if isinstance(weight, Weaning) and self.settings.data is None:
            self.learner.loss_weight = weight.at(i, self.training_fraction)
        else:
            self.learner.loss_weight = weight.at(i)

    def teacher_acts(self, ahead: int = 0) -> bool:
        """Whether the teacher may act in this round, or in another so many rounds ahead."""
        share = self.settings.row.control.teacher_share
        return share.at(self.state.round_index + ahead) > 0.0

    def outputs_of(self, batch: Labelled) -> Tensor:
        """The teacher's raw outputs [N, outputs]: a label may hold more, which comes after them."""
        return batch.teacher_raw[:, : self.teacher_info.head.num_outputs]

    @property
    def training_fraction(self) -> float | None:
        """(S - R) / (T - R) over the latest training episodes; None where it is not known."""
        student = self.recent.mean
        if student is None or self.prover is None or self.prover.reference is None:
            return None
        return self.prover.reference.fraction(student)

    @torch.no_grad()
    def agreement_on(self, batch: Labelled) -> float | None:
        """Share of states where student and teacher choose alike; None for continuous actions."""
        teacher = self.teacher_info.head(self.outputs_of(batch)[batch.valid])
        if not isinstance(teacher, Categorical) or not bool(batch.valid.any()):
            return None
        student = self.learner.tested.info.head(batch.student_raw(self.learner.tested))
        return float((student.mode() == teacher.mode()).double().mean())

    @property
    def holds(self) -> bool:
        """Whether a student was shown to hold."""
        return self.prover is not None and self.prover.trial.decision == "holds"

    def restore_alignment(self) -> None:
        """Make the loss anew from the action gap in the state."""
        self.learner.alignment = align(
            self.settings.row,
            self.teacher_info.head,
            self.learner.student.info.head,
            self.state.action_gap,
        )

    def hand_over(self) -> None:
        """Write the tested weights into what the user gave, unless nothing good was learnt."""
        if self.learner.updates > 0 and self.learner.is_finite:
            self.give_back(self.learner.tested.module)

    def saved_student(self) -> NetworkPolicy:
        """The student read back from the run folder; a live one into a copy of its module."""
        module = self.learner.tested.module
        rebuilt = copy.deepcopy(module).cpu() if family_of(module) is None else None
        return load_student(self.keeper.folder.root, rebuilt)

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be taken over."""
        return {
            "task": self.task_json(),
            "teacher": self.following or self.teacher_info.fingerprint,
            "student": self.learner.student.info.name,
            "method": self.settings.row.name,
            "seed": self.settings.seed,
            "floor": self.settings.floor,
            "teacher_act": str(self.settings.teacher_act),
            "student_act": str(self.settings.student_act),
            # Seeds are counted in rounds of this many.
            "evaluation_envs": None if self.prover is None else self.prover.arena.num_envs,
            "fit_critic": self.settings.fit_critic,
        }

    def task_json(self) -> dict[str, Any] | None:
        """The task as plain JSON types."""
        if self.task is None or self.task_info is None:
            return None
        return {
            "id": self.task_info.id,
            "backend": self.task_info.backend,
            "env_kwargs": plain_kwargs(self.task.env_kwargs),
            "wrapper": self.task.wrapper,
            **self.task.view_texts(),
        }

    def sides(self, student_parameters: int) -> Sides:
        """Who is compared with whom."""
        return Sides(
            student_act=str(self.settings.student_act),
            # Recorded labels have no network, and nobody acts.
            teacher_act=str(self.settings.teacher_act) if self.prover else None,
            student_parameters=student_parameters,
            teacher_parameters=self.teacher_info.acting_parameters or None,
        )
