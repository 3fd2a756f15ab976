"""What is asked of merge()."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from rldistill.core import Acting
from rldistill.envs.backends import TaskSource
from rldistill.errors import SettingError
from rldistill.evaluation.verdict import DEFAULT_FLOOR
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import Method

DEFAULT_MERGE = "rusu-kl"
DEFAULT_STEPS = 1_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """How to merge; every field has a default.

    Attributes:
        method: a row that learns state by state, or its name. Its memory and its steps per round
            are those of each task.
        steps: environment steps, summed over tasks; None: 1,000,000.
        scale: in place of steps: a share of those of the row's paper.
        num_envs: of each task, stepped together.
        memory: states of each task, at most; None: as the row says.
        seed: of everything.
        device: "auto", "cpu" or "cuda".
        floor: the fraction of each teacher that the verdicts are about.
        teacher_act: how teachers act.
        student_act: how the student acts when it is judged.
        evaluation_envs: episodes per look.
        save_seconds: a checkpoint is written at most this often.
        command: recorded in the run folder.
    """

    method: str | Method = DEFAULT_MERGE
    steps: int | None = None
    scale: float | None = None
    num_envs: int = 32
    memory: int | None = None
    seed: int = 0
    device: str = "auto"
    floor: float = DEFAULT_FLOOR
    teacher_act: Acting = Acting()
    student_act: Acting = Acting()
    evaluation_envs: int = 64
    save_seconds: float = 60.0
    command: str = ""

    def __post_init__(self) -> None:
        Acting.require(self.teacher_act, "teacher_act")
        Acting.require(self.student_act, "student_act")
        for name in ("steps", "memory", "num_envs", "evaluation_envs"):
            value: int | None = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"{name} must be at least 1, got {value}")
        if self.seed < 0:
            raise SettingError(f"seed must be at least 0, got {self.seed}")
        if not 0.0 < self.floor <= 1.0:
            raise SettingError(f"floor must lie in (0, 1], got {self.floor:g}")
        if self.scale is not None and (self.steps is not None or not self.scale > 0.0):
            raise SettingError("scale must be above 0, and stands in place of steps")

    @property
    def row(self) -> Method:
        """The method, with the memory asked for.

        Raises:
            SettingError: it cannot merge.
        """
        row = get_method(self.method) if isinstance(self.method, str) else self.method
        if row.is_actor_critic or row.learner is not None:
            raise SettingError(
                f"{row.name} does not learn state by state; merge with a row such as rusu-kl, "
                "rusu-nll or dagger"
            )
        return row if self.memory is None else replace(row, memory=self.memory)

    @property
    def total_steps(self) -> int:
        """Summed over tasks."""
        if self.scale is None:
            return DEFAULT_STEPS if self.steps is None else self.steps
        published = self.row.published_steps
        if published is None:
            raise SettingError(f"scale has no effect on {self.row.name}; give steps")
        return max(1, round(self.scale * published))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRequest:
    """What was asked for.

    Attributes:
        pairs: a teacher and its task, for each task.
        student: a multi-task spec, such as "multi:minatar".
        out: the run folder; None: a new one under runs/.
        force: replace the run in `out`.
        resume: continue the run in `out`.
        settings: everything else.
    """

    pairs: Sequence[tuple[Any, TaskSource]]
    student: str
    out: Path | None = None
    force: bool = False
    resume: bool = False
    settings: MergeSettings = field(default_factory=MergeSettings)
