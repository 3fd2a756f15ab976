"""What `rldistill advise` measures, and with what: one teacher on one task."""

import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from rldistill.core import NetworkPolicy
    from rldistill.envs.spec import TaskInfo, TaskSpec
    from rldistill.evaluation.situation import Measured, Trial

# The questions that can be measured, and what for.
MEASURABLE = {
    "off_teacher_states": "how far a student's states drift from its teacher's",
    "strong_teacher": "the teacher's return",
    "teacher_has_value": "whether the teacher has a value function",
}
ROUNDS = 16
DEFAULT_STEPS = 50_000


@final
@dataclass(frozen=True)
class Bench:
    """Measures when it is asked, and loads when it measures.

    Attributes:
        teacher_file: of the teacher.
        task: where to measure.
        vecnormalize: statistics of the teacher.
        student_file: a student trained on the teacher's states; None: one is trained, briefly.
        best: the best known return.
        steps: of the student that is trained.
        trial: how many episodes.
    """

    teacher_file: str
    task: "TaskSpec"
    vecnormalize: Path | None
    student_file: Path | None
    best: float | None
    steps: int
    trial: "Trial"

    def measure(self, question: str) -> "Measured":
        """The numbers for one of MEASURABLE."""
        from rldistill.evaluation.situation import measure_drift, measure_strength, measure_value

        if question == "teacher_has_value":
            return measure_value(self.teacher)
        if question == "strong_teacher":
            return measure_strength(self.teacher, self.task, best=self.best, trial=self.trial)
        return measure_drift(self.teacher, self.student(), self.task, trial=self.trial)

    @cached_property
    def info(self) -> "TaskInfo":
        """What the task is like."""
        from rldistill.evaluation.scores import task_info

        return task_info(self.task)

    @cached_property
    def teacher(self) -> "NetworkPolicy":
        """Loaded for the task."""
        return self.load(self.teacher_file, self.vecnormalize)

    def load(self, source: str | Path, vecnormalize: Path | None) -> "NetworkPolicy":
        """A policy that fits the task."""
        from rldistill.teachers.load import load_teacher

        return load_teacher(
            source,
            vecnormalize=vecnormalize,
            observation_shape=self.info.observation_space.shape,
            action_space=self.info.action_space,
        )

    def student(self) -> "NetworkPolicy":
        """The one given, or one trained for a few steps on the teacher's states."""
        if self.student_file is not None:
            return self.load(self.student_file, None)
        from rldistill.train.distill import distill
        from rldistill.train.settings import Settings

        sys.stderr.write(
            f"training a student on the teacher's states, {self.steps:,} steps ... "
            "(--student RUN takes one that there is)\n"
        )
        settings = Settings(
            method="teacher-distill",
            steps=self.steps,
            seed=self.trial.seed,
            vecnormalize=self.vecnormalize,
        )
        with tempfile.TemporaryDirectory(prefix="rldistill-advise-") as folder:
            out = Path(folder) / "student"
            return distill(self.teacher_file, self.task, out=out, settings=settings).student
