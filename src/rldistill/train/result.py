"""Run: what distill() returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rldistill.core import NetworkPolicy
from rldistill.errors import RunFolderError
from rldistill.train.job import Job


@final
@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        path: the run folder.
        summary: what verdict.json holds; see rldistill.evaluation.summary.summarise.
        student: the student as it was saved and tested; where the user gave a live object, a
            network of its own with the same weights.
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
        return cls(job.keeper.folder.root, job.keeper.summary, job.saved_student())
