"""Run: what distill() returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rldistill.core import NetworkPolicy
from rldistill.errors import RunFolderError
from rldistill.students.store import load_student
from rldistill.train.job import Job


@final
@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        path: the run folder.
        summary: what verdict.json holds; see rldistill.evaluation.summary.summarise.
        student: the student, as load_policy(path) gives it.
    """

    path: Path
    summary: dict[str, Any]
    student: NetworkPolicy

    @property
    def verdict(self) -> str | None:
        """holds, fails, unsure, or None where there can be none."""
        return self.summary["verdict"]

    @classmethod
    def finished(cls, job: Job) -> "Run":
        """The run of a job whose loop has ended.

        Raises:
            RunFolderError: it has not.
        """
        if job.keeper.summary is None:
            raise RunFolderError(f"{job.keeper.folder.root}: the run has not ended")
        root = job.keeper.folder.root
        return cls(root, job.keeper.summary, load_student(root))
