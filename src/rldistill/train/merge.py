"""merge(): several teachers of different tasks into one student with a head for each."""

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, final

import tomli_w
import torch

from rldistill.errors import RunFolderError
from rldistill.evaluation.combined import combine
from rldistill.evaluation.verdict import Verdict
from rldistill.methods.method import Method
from rldistill.rollout.control import Randomness
from rldistill.runs import atomic_write, to_json
from rldistill.students.store import save_student
from rldistill.train.checkpoint import has_checkpoint
from rldistill.train.keeper import SAVE_SHARE, Keeper, versions
from rldistill.train.merge_job import MergedTask, MergeLearner
from rldistill.train.progress import Progress
from rldistill.train.saving import load_states, save_states


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlan:
    """How long, and what is recorded.

    Attributes:
        method: the row: its loss, memory (per task), round_steps (per task and sweep), learning.
        total_steps: environment steps, summed over tasks.
        seed: of everything.
        save_seconds: a checkpoint is written at most this often.
        command: recorded in the run folder.
        recipe: what recipe.toml says.
        resume: continue the run in the folder.
    """

    method: Method
    total_steps: int
    seed: int
    save_seconds: float
    command: str
    recipe: dict[str, Any]
    resume: bool


@final
@dataclass(slots=True, kw_only=True)
class Merging:
    """One run of merge(), ready for merging().

    Attributes:
        plan: as asked.
        tasks: one per teacher.
        learner: holds the student.
        keeper: writes records into the run folder, and holds its lock.
        randomness: saved in checkpoints.
        device: of all networks.
        notes: lines for people, shown at the start.
        round_index: sweeps over the tasks so far.
        train_seconds: of collecting and learning.
        loss: of the latest sweep.
        summary: once the run is finished.
    """

    plan: MergePlan
    tasks: Sequence[MergedTask]
    learner: MergeLearner
    keeper: Keeper
    randomness: Randomness
    device: torch.device
    notes: tuple[str, ...] = ()
    round_index: int = 0
    train_seconds: float = 0.0
    loss: float | None = None
    summary: dict[str, Any] | None = None
    next_save: float = 0.0

    @property
    def env_steps(self) -> int:
        """Summed over tasks."""
        return sum(task.env_steps for task in self.tasks)

    def progress(self, message: str = "", done: bool = False) -> Progress:
        """The state as a frozen record."""
        return Progress(
            phase="done" if done else "learning",
            round_index=self.round_index,
            env_steps=self.env_steps,
            total_steps=self.plan.total_steps,
            updates=self.learner.updates,
            loss=self.loss,
            agreement=None,
            steps_per_second=self.env_steps / max(self.train_seconds, 1e-9),
            train_seconds=self.train_seconds,
            message=message,
        )

    def sweep(self) -> None:
        """Teachers take turns of one episode per environment until each has added its share, and
        the student learns from all memories."""
        started, method = time.perf_counter(), self.plan.method
        left_in_all = self.plan.total_steps - self.env_steps
        share = min(method.round_steps, -(-left_in_all // len(self.tasks)))
        left = [share] * len(self.tasks)
        while any(steps > 0 for steps in left):
            for index, task in enumerate(self.tasks):
                if left[index] > 0:
                    left[index] -= task.turn(method, left[index], self.round_index)
        taken = share * len(self.tasks) - sum(left)
        updates = max(1, round(method.learning.reuse * taken / method.learning.batch_size))
        self.loss = self.learner.learn(self.tasks, updates)
        self.round_index += 1
        self.train_seconds += time.perf_counter() - started

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be taken over."""
        return {
            "task": " + ".join(task.info.id for task in self.tasks),
            "teacher": " + ".join(task.teacher.info.fingerprint[:12] for task in self.tasks),
            "student": self.learner.tested.info.name,
            "method": self.plan.method.name,
            "seed": self.plan.seed,
        }

    def card(self) -> dict[str, Any]:
        """What student.json says besides the architecture."""
        return {
            "task": None,
            "tasks": [task.info.id for task in self.tasks],
            "teachers": [
                {
                    "task": task.info.id,
                    "name": task.teacher.info.name,
                    "source": task.teacher.info.source,
                    "sha256": task.teacher.info.fingerprint,
                }
                for task in self.tasks
            ],
            "method": self.plan.method.name,
            "seed": self.plan.seed,
            "env_steps": self.env_steps,
            "command": self.plan.command,
            "versions": versions(),
        }

    def save(self) -> None:
        """Write the student and what resuming needs; memories are collected again."""
        started, folder = time.perf_counter(), self.keeper.folder
        folder.verdict_json.unlink(missing_ok=True)
        save_student(self.learner.tested, folder.root, self.card())
        counters = {
            "round_index": self.round_index,
            "train_seconds": self.train_seconds,
            "env_steps": [task.env_steps for task in self.tasks],
            "action_gaps": [task.action_gap for task in self.tasks],
        }
        states = {"learner": self.learner.state_dict()}
        save_states(folder.checkpoint, self.identity(), states, counters, self.randomness)
        now = time.perf_counter()
        self.next_save = now + max(self.plan.save_seconds, (now - started) / SAVE_SHARE)

    def restore(self) -> None:
        """Take over a checkpoint.

        Raises:
            RunFolderError: it is damaged, of another run, or of one that has done all its steps.
        """
        folder = self.keeper.folder
        states, counters = load_states(folder.checkpoint, self.identity(), self.randomness)
        if sum(counters["env_steps"]) >= self.plan.total_steps:
            raise RunFolderError(
                f"{folder.root} has done its {sum(counters['env_steps']):,} steps; to train on, "
                "give more than that (--steps)"
            )
        self.round_index, self.train_seconds = counters["round_index"], counters["train_seconds"]
        for task, steps, gap in zip(
            self.tasks, counters["env_steps"], counters["action_gaps"], strict=True
        ):
            task.env_steps, task.action_gap = steps, gap
            task.restore_alignment(self.plan.method)
        self.learner.load_state_dict(states["learner"])


def merging(job: Merging) -> Generator[Progress]:
    """Merge, yielding a Progress after each sweep.

    Ctrl-C, an error, or closing this generator leaves a checkpoint behind.

    Raises:
        RunFolderError: the run folder is in use or not writable.
        EnvironmentFailure, NotFiniteError: from environments and networks.
    """
    with ExitStack() as stack:
        stack.enter_context(job.keeper)
        if job.plan.resume and has_checkpoint(job.keeper.folder.checkpoint):
            job.restore()
        atomic_write(job.keeper.folder.recipe_toml, tomli_w.dumps(job.plan.recipe))
        stack.callback(save_unless_finished, job)
        for task in job.tasks:
            stack.enter_context(task.open(job.round_index, job.device))
            stack.enter_context(task.prover.arena)
        yield job.keeper.record(job.progress(message="\n".join(job.notes)))
        for task in job.tasks:
            described = f"{task.info.id}: {task.prover.describe_teacher()}"
            yield job.keeper.record(job.progress(message=described))
        while job.env_steps < job.plan.total_steps:
            job.sweep()
            yield job.keeper.record(job.progress())
            if time.perf_counter() >= job.next_save:
                job.save()
        job.save()
        yield from conclude(job)


def save_unless_finished(job: Merging) -> None:
    """For the way out: what was learnt is kept whatever ended the run."""
    if job.summary is None and job.round_index > 0 and job.learner.is_finite:
        job.save()


def conclude(job: Merging) -> Generator[Progress]:
    """A verdict for every task, and what they make together."""
    verdicts: list[Verdict] = []
    for index, task in enumerate(job.tasks):
        student = job.learner.part(index)
        for look in task.prover.confirm(student):
            line = (
                f"{task.info.id}: {look.episodes} episodes, return {look.student_return:.4g}: "
                f"{look.decision}"
            )
            yield job.keeper.record(job.progress(message=line))
        verdicts.append(task.prover.measure(student)[0])
    ids = [task.info.id for task in job.tasks]
    job.summary = {
        "verdict": together(verdicts),
        "reason": "; ".join(
            f"{one}: {verdict.verdict or 'no verdict'}"
            for one, verdict in zip(ids, verdicts, strict=True)
        ),
        "tasks": {one: verdict.as_dict() for one, verdict in zip(ids, verdicts, strict=True)},
        **combine(verdicts).as_dict(),
        "student_parameters": job.learner.tested.info.acting_parameters,
        "teacher_parameters": sum(task.teacher.info.acting_parameters for task in job.tasks),
        "env_steps": job.env_steps,
        "train_seconds": job.train_seconds,
        "total_seconds": job.keeper.seconds(),
        "run": str(job.keeper.folder.root),
    }
    atomic_write(job.keeper.folder.verdict_json, to_json(job.summary, indent=1))
    yield job.keeper.record(job.progress(done=True))


def together(verdicts: Sequence[Verdict]) -> str | None:
    """One word: holds where every task holds, fails where one fails, else unsure; None for none."""
    words = {verdict.verdict for verdict in verdicts}
    if words == {None}:
        return None
    if words == {"holds"}:
        return "holds"
    return "fails" if "fails" in words else "unsure"
