"""Keeper: writes the run folder while the loop runs, and reads it back to resume."""

import json
import sys
import time
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, final

import tomli_w
import torch

from rldistill.errors import RldistillError, RunFolderError
from rldistill.evaluation.agreement import AgreementPair
from rldistill.evaluation.summary import Costs, summarise
from rldistill.evaluation.verdict import Verdict
from rldistill.runs import RunFolder, atomic_write, to_json
from rldistill.students.store import save_student
from rldistill.train.checkpoint import (
    LARGEST_MEMORY,
    flatten,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
    unflatten,
)
from rldistill.train.events import EventWriter
from rldistill.train.fit import write_pruning_curve
from rldistill.train.identity import check_identity
from rldistill.train.progress import Progress

if TYPE_CHECKING:
    from rldistill.train.job import Job

# Said where there is no verdict because nothing was played.
UNJUDGED = "learnt from data alone; `rldistill evaluate RUN --task ID --against TEACHER` judges it"
# A memory up to this is part of the first save, which comes at once: it takes a few milliseconds.
SMALL_MEMORY = 4 * 2**20
# Saving may take at most this share of the time.
SAVE_SHARE = 0.05


def student_card(job: "Job") -> dict[str, Any]:
    """What student.json says besides the architecture: enough to know where the student is from."""
    teacher = job.teacher_info
    return {
        "task": job.task_json(),
        "student_act": str(job.settings.student_act),
        "teacher": {
            "name": teacher.name,
            "framework": teacher.framework,
            "source": teacher.source,
            "sha256": teacher.fingerprint,
            "acting_parameters": teacher.acting_parameters,
            "act": str(job.settings.teacher_act),
        },
        "method": job.settings.row.name,
        "seed": job.settings.seed,
        "env_steps": job.state.played_steps,
        "command": job.settings.command,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that the numbers depend on."""
    packages = ("rldistill", "torch", "numpy", "gymnasium")
    return {"python": sys.version.split()[0]} | {name: version(name) for name in packages}


@final
class Keeper(AbstractContextManager["Keeper"]):
    """Owns one run folder while it is being written; a context manager that holds its lock.

    Attributes:
        folder: where.
        summary: the last line of `distill --json`, once the run is finished.
    """

    def __init__(self, folder: RunFolder, save_seconds: float) -> None:
        self.folder = folder
        self.summary: dict[str, Any] | None = None
        self._save_seconds = save_seconds
        self._started = time.perf_counter()
        self._saved = time.perf_counter()
        self._has_saved = False
        self._stack = ExitStack()
        self._events: EventWriter | None = None

    def __enter__(self) -> Self:
        self._stack.enter_context(self.folder.lock())
        self._events = self._stack.enter_context(EventWriter(self.folder.events))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(self, job: "Job") -> None:
        """Begin to write: take over a checkpoint where the run is resumed, say what it will do.

        Raises:
            RunFolderError: the checkpoint is damaged, of another run, or of a run that has ended.
        """
        if job.resume and has_checkpoint(self.folder.checkpoint):
            self.resume(job)
        elif job.resume:
            job.notes += ("resume   nothing was saved yet: starting from the beginning",)
        atomic_write(self.folder.recipe_toml, tomli_w.dumps(job.recipe))

    def record(self, progress: Progress) -> Progress:
        """Append a record to metrics.jsonl and the TensorBoard events; returns it."""
        record = progress.to_json()
        self.folder.append_metrics(record)
        if self._events is not None:
            self._events.add(record, progress.counted)
        return progress

    def save_if_due(self, job: "Job") -> None:
        """Save, unless the last save was a moment ago.

        The first save does not wait, so that a short run that is killed is not lost; it leaves out
        a memory that would take long to write.
        """
        if not self._has_saved:
            self.save(job, early=True)
        elif time.perf_counter() - self._saved >= self._save_seconds:
            self.save(job)

    def save_unless_finished(self, job: "Job") -> None:
        """For the way out: what was learnt is kept whatever ended the run.

        A run that ended before its first round has nothing to keep, and one whose weights became
        NaN keeps what was saved before.
        """
        if self.summary is None and job.state.round_index > 0 and job.learner.is_finite:
            self.save(job)

    def save(self, job: "Job", early: bool = False) -> None:
        """Write the student as it is, and all that resuming needs.

        The next save waits until this one's cost is a small share of the time since.

        Args:
            job: what to save.
            early: leave out all but a small memory, to be quick; a resumed run collects it again.
        """
        started = time.perf_counter()
        # What was said before is about the student that is now replaced.
        self.folder.verdict_json.unlink(missing_ok=True)
        self.folder.evidence.unlink(missing_ok=True)
        self.folder.report_html.unlink(missing_ok=True)
        save_student(job.learner.tested, self.folder.root, student_card(job))
        tensors, learner = flatten("learner", job.learner.state_dict())
        tensors["control"] = job.randomness.control.get_state()
        tensors["batches"] = job.randomness.batches.get_state()
        tensors["torch"] = torch.get_rng_state()  # dropout draws from it
        if job.memory.nbytes <= (SMALL_MEMORY if early else LARGEST_MEMORY):
            memory_tensors, memory = flatten("memory", job.memory.state_dict())
            tensors |= memory_tensors
        else:
            memory = None
        critic = None
        if job.critic is not None:
            critic_tensors, critic = flatten("critic", job.critic.state_dict())
            tensors |= critic_tensors
        record = {
            "identity": job.identity(),
            "state": job.state.to_json()
            | {"before_seconds": job.state.before_seconds + self.seconds()},
            "learner": learner,
            "memory": memory,
            "critic": critic,
            "prover": None if job.prover is None else job.prover.state_dict(),
            "numpy": to_json(job.randomness.uniform.bit_generator.state),
        }
        save_checkpoint(self.folder.checkpoint, tensors, record)
        self._has_saved = True
        self._saved = time.perf_counter()
        self._save_seconds = max(self._save_seconds, (self._saved - started) / SAVE_SHARE)

    def finish(self, job: "Job", verdict: Verdict | None, alike: AgreementPair | None) -> None:
        """Write the final student, verdict.json and the last checkpoint."""
        costs = Costs(
            env_steps=job.state.played_steps,
            train_seconds=job.state.train_seconds,
            total_seconds=job.state.before_seconds + self.seconds(),
            run=str(self.folder.root),
        )
        self.save(job)
        student = job.saved_student()
        write_pruning_curve(student, self.folder.root)
        self.summary = summarise(verdict, alike, job.sides(student.info.acting_parameters), costs)
        if job.critic is not None:
            self.summary["critic_steps"] = job.critic.steps
            self.summary["critic_explained"] = job.critic.explained
        if job.prover is None:
            self.summary["reason"] = job.unjudged
        atomic_write(self.folder.verdict_json, to_json(self.summary, indent=1))

    def seconds(self) -> float:
        """Wall clock since this process began with the run, imports not counted."""
        return time.perf_counter() - self._started

    def resume(self, job: "Job") -> None:
        """Take over weights, optimiser, random states, counters and the verdict's state.

        Environments start new episodes; a memory that was too large to save is collected again.

        Raises:
            RunFolderError: the checkpoint is damaged, of another task, teacher, student or method,
                or of a run that has ended and is not given more steps, or has done more than asked.
        """
        tensors, record = load_checkpoint(self.folder.checkpoint)
        try:
            check_identity(record["identity"], job.identity())
            ended = self.folder.verdict_json.exists()
            self._require_enough_steps(job, record["state"], ended)
            job.state.restore(record["state"])
            job.restore_alignment()
            job.learner.load_state_dict(unflatten(record["learner"], tensors))
            job.randomness.control.set_state(tensors["control"])
            job.randomness.batches.set_state(tensors["batches"])
            torch.set_rng_state(tensors["torch"])
            job.randomness.uniform.bit_generator.state = json.loads(record["numpy"])
            if record["memory"] is not None:
                job.memory.load_state_dict(unflatten(record["memory"], tensors))
            if job.critic is not None:
                job.critic.load_state_dict(unflatten(record["critic"], tensors))
            if job.prover is not None and record["prover"] is not None:
                job.prover.load_state_dict(record["prover"])
                if ended:
                    job.prover.next_candidate()
            self._has_saved = True
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, RldistillError):
                raise
            raise RunFolderError(
                f"{self.folder.root}: the checkpoint is damaged: {error}"
            ) from error

    def _require_enough_steps(self, job: "Job", saved: dict[str, Any], ended: bool) -> None:
        asked, steps, done = job.state.total_steps, saved["total_steps"], saved["env_steps"]
        # Complete steps of all environments may be a few more than were asked for.
        if not ended and asked < min(steps, done):
            raise RunFolderError(
                f"{self.folder.root} has done {done:,} steps of {steps:,}, you asked for "
                f"{asked:,}: leave --steps out to go on as before, or give no fewer than were done"
            )
        if ended and asked <= steps:
            raise RunFolderError(
                f"{self.folder.root} has ended, there is nothing to resume; to train on, give more "
                f"steps than its {steps:,} (--steps)"
            )
