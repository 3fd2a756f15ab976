"""Train a teacher: one Q-network on one task, or on several together (Multi-DQN)."""

import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, final

import tomli_w
import torch
from torch import Tensor

from rldistill.core import NetworkPolicy
from rldistill.errors import RunFolderError, SettingError
from rldistill.rollout.control import Randomness
from rldistill.runs import atomic_write, to_json
from rldistill.students.families import family_of
from rldistill.students.store import save_student
from rldistill.train.checkpoint import has_checkpoint
from rldistill.train.keeper import SAVE_SHARE, Keeper, versions
from rldistill.train.parallel_q import ParallelQ, ParallelQLearner
from rldistill.train.progress import Progress
from rldistill.train.request import choose_threads
from rldistill.train.saving import load_states, save_states
from rldistill.train.stage import Stage


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How long a teacher is trained, and what is written.

    Attributes:
        steps: environment steps, summed over tasks and environments.
        learning: how.
        seed: of everything.
        device: "auto", "cpu" or "cuda".
        episodes: of each task, played greedily at the end.
        half: the network is written in half precision; training goes on in full.
        save_seconds: a checkpoint is written at most this often.
        command: recorded in the run folder.
    """

    steps: int = 5_000_000
    learning: ParallelQ = field(default_factory=ParallelQ)
    seed: int = 0
    device: str = "auto"
    episodes: int = 64
    half: bool = False
    save_seconds: float = 10.0
    command: str = ""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.episodes < 1:
            raise SettingError(
                f"steps and episodes must be at least 1, got {self.steps} and {self.episodes}"
            )
        if self.seed < 0:
            raise SettingError(f"seed must be at least 0, got {self.seed}")


@final
@dataclass(slots=True, kw_only=True)
class Training:
    """One run of teacher training; a generator, training(), does it.

    Attributes:
        settings: as asked.
        network: all of it, as it is saved; its head counts in Q-values.
        stages: one per task, each with its part of the network.
        learner: takes the steps.
        keeper: writes records into the run folder, and holds its lock.
        randomness: saved in checkpoints.
        resume: continue the run in the folder.
        recipe: what recipe.toml says.
        notes: lines for people, shown at the start.
        round_index: rounds so far.
        env_steps: environment steps so far.
        train_seconds: of collecting and learning.
        loss: of the latest round.
        summary: once the run is finished.
    """

    settings: TrainSettings
    network: NetworkPolicy
    stages: tuple[Stage, ...]
    learner: ParallelQLearner
    keeper: Keeper
    randomness: Randomness
    resume: bool
    recipe: dict[str, Any]
    notes: tuple[str, ...] = ()
    round_index: int = 0
    env_steps: int = 0
    train_seconds: float = 0.0
    loss: float | None = None
    summary: dict[str, Any] | None = None
    next_save: float = 0.0

    @property
    def done(self) -> float:
        """Share of the run that is over."""
        return self.env_steps / self.settings.steps

    def progress(self, message: str = "", done: bool = False) -> Progress:
        """The state as a frozen record; the return is that of training episodes, exploring."""
        means = [stage.recent.mean for stage in self.stages]
        known = [mean for mean in means if mean is not None]
        return Progress(
            phase="done" if done else "learning",
            round_index=self.round_index,
            env_steps=self.env_steps,
            total_steps=self.settings.steps,
            updates=self.learner.updates,
            loss=self.loss,
            agreement=None,
            steps_per_second=self.env_steps / max(self.train_seconds, 1e-9),
            train_seconds=self.train_seconds,
            student_return=known[0] if len(self.stages) == 1 and known else None,
            message=message,
        )

    def play_and_learn(self) -> None:
        """One round of every task, and the passes over it."""
        started = time.perf_counter()
        epsilon = self.settings.learning.epsilon(self.done)
        played = [
            stage.play(self.settings.learning, epsilon, self.round_index) for stage in self.stages
        ]
        if self.round_index == 0:
            self._fit_inputs([targets.observations for targets, _ in played])
        else:
            self.loss = self.learner.learn([targets for targets, _ in played], self.done)
        self.env_steps += sum(steps for _, steps in played)
        self.round_index += 1
        self.train_seconds += time.perf_counter() - started

    def _fit_inputs(self, observations: list[Tensor]) -> None:
        """The first round shows what observations are like, and is not learnt from: what Q says of
        them changes."""
        for stage, seen in zip(self.stages, observations, strict=True):
            family = family_of(stage.policy.module)
            if family is not None:
                family.fit_inputs(stage.policy.module, seen)

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be taken over."""
        learning = self.settings.learning
        return {
            "task": " + ".join(stage.info.id for stage in self.stages),
            "student": self.network.info.name,
            "seed": self.settings.seed,
            "learning": {name: getattr(learning, name) for name in learning.__slots__},
        }

    def _task(self) -> dict[str, Any]:
        """What is known of its only task."""
        return {"id": self.stages[0].info.id, **self.stages[0].task.view_texts()}

    def card(self) -> dict[str, Any]:
        """What student.json says besides the architecture."""
        learning = self.settings.learning
        return {
            "task": self._task() if len(self.stages) == 1 else None,
            "task_ids": [stage.info.id for stage in self.stages],
            "method": "parallel-q",
            # Q-values of clipped rewards are no returns: nobody may take them for the value.
            "gamma_of_clipped_rewards" if learning.clip_rewards else "gamma": learning.gamma,
            "seed": self.settings.seed,
            "env_steps": self.env_steps,
            "command": self.settings.command,
            "versions": versions(),
        }

    def save(self) -> None:
        """Write the network and all that resuming needs."""
        started, folder = time.perf_counter(), self.keeper.folder
        folder.verdict_json.unlink(missing_ok=True)
        save_student(self.network, folder.root, self.card(), self.settings.half)
        states = {
            "learner": self.learner.state_dict(),
            "network": self.network.module.state_dict(),
        }
        counters = {
            "round_index": self.round_index,
            "env_steps": self.env_steps,
            "train_seconds": self.train_seconds,
        }
        save_states(folder.checkpoint, self.identity(), states, counters, self.randomness)
        now = time.perf_counter()
        self.next_save = now + max(self.settings.save_seconds, (now - started) / SAVE_SHARE)

    def restore(self) -> None:
        """Take over a checkpoint; environments start new episodes.

        Raises:
            RunFolderError: it is damaged, of another run, or of one that has done all its steps.
        """
        folder = self.keeper.folder
        states, counters = load_states(folder.checkpoint, self.identity(), self.randomness)
        if counters["env_steps"] >= self.settings.steps:
            raise RunFolderError(
                f"{folder.root} has done {counters['env_steps']:,} steps; to train on, give more "
                "steps than that (--steps)"
            )
        for name, value in counters.items():
            setattr(self, name, value)
        self.learner.load_state_dict(states["learner"])
        self.network.module.load_state_dict(states["network"])


def training(job: Training) -> Generator[Progress]:
    """Train, yielding a Progress after each round.

    Ctrl-C, an error, or closing this generator leaves a checkpoint behind.

    Raises:
        RunFolderError: the run folder is in use or not writable.
        EnvironmentFailure, NotFiniteError: from environments and networks.
    """
    with ExitStack() as stack:
        stack.enter_context(job.keeper)
        if job.resume and has_checkpoint(job.keeper.folder.checkpoint):
            job.restore()
        atomic_write(job.keeper.folder.recipe_toml, tomli_w.dumps(job.recipe))
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(choose_threads(job.network.info, job.network.info))
        stack.callback(save_unless_finished, job)
        for stage in job.stages:
            stack.enter_context(stage.open(job.round_index))
        yield job.keeper.record(job.progress(message="\n".join(job.notes)))
        while job.env_steps < job.settings.steps:
            job.play_and_learn()
            yield job.keeper.record(job.progress())
            if time.perf_counter() >= job.next_save:
                job.save()
        yield from finish(job)


def save_unless_finished(job: Training) -> None:
    """For the way out: what was learnt is kept whatever ended the run."""
    if job.summary is None and job.round_index > 0 and job.learner.is_finite:
        job.save()


def finish(job: Training) -> Generator[Progress]:
    """Play every task greedily, and write what came of it."""
    job.save()
    tasks: dict[str, Any] = {}
    for stage in job.stages:
        found = stage.measure(job.settings.episodes)
        tasks[stage.info.id] = {
            "return": found.value,
            "low": found.low,
            "high": found.high,
            "episodes": job.settings.episodes,
        }
    only = next(iter(tasks.values())) if len(tasks) == 1 else {}
    job.summary = {
        "verdict": None,
        "reason": "a teacher is compared with nobody; its returns are those of greedy play",
        "student_return": only.get("return"),
        "student_low": only.get("low"),
        "student_high": only.get("high"),
        "tasks": tasks,
        "student_parameters": job.network.info.acting_parameters,
        "env_steps": job.env_steps,
        "train_seconds": job.train_seconds,
        "total_seconds": job.keeper.seconds(),
        "run": str(job.keeper.folder.root),
    }
    atomic_write(job.keeper.folder.verdict_json, to_json(job.summary, indent=1))
    yield job.keeper.record(job.progress(done=True))
