"""Sweep: a ladder of students that share their labelled states, and how far each has come."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from rldistill.core import NetworkPolicy
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import TaskError
from rldistill.evaluation.looks import Reference
from rldistill.evaluation.prove import Contestants, Prover
from rldistill.evaluation.scores import Arena
from rldistill.evaluation.verdict import LEVEL
from rldistill.train.settings import Settings
from rldistill.train.shrink_rung import Order, method_of
from rldistill.train.shrink_settings import Budget, ShrinkSettings

FORMAT = "rldistill sweep"
SUMMARY = "shrink.json"
COMPRESSED = "compressed"
# Vector steps are whole: each collection may take a few more steps than were asked for.
ROUNDING = 128
COSTS = {Budget.PARAMS: "parameters", Budget.BYTES: "bytes", Budget.LATENCY: "latency_us"}


@final
@dataclass(slots=True)
class Rung:
    """One student of the ladder.

    Attributes:
        index: its place.
        student: its spec.
        seen: how many datasets it has learnt from.
        results: of its stages, in order; see climb.
    """

    index: int
    student: str
    seen: int = 0
    results: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def next_stage(self) -> int:
        """The stage that it has not done yet."""
        return self.results[-1]["stage"] + 1 if self.results else 0

    @property
    def verdict(self) -> dict[str, Any] | None:
        """What verdict.json says of it, once it is judged."""
        return self.results[-1]["verdict"] if self.results else None

    @property
    def holds(self) -> bool:
        """Whether it is shown to hold the floor."""
        return self.verdict is not None and self.verdict["verdict"] == "holds"

    @property
    def fraction(self) -> float:
        """Of its latest screening."""
        found = self.results[-1]["screening"]["fraction"]
        return -np.inf if found is None else float(found)

    def cost(self, budget: str) -> tuple[float, int]:
        """What is to be small; of equals the first in the ladder counts as the larger."""
        return float(self.results[-1][COSTS[Budget(budget)]]), -self.index


@final
@dataclass(slots=True, kw_only=True)
class Sweep:
    """A sweep, ready for the loop.

    Attributes:
        root: its folder.
        teacher: a path, or a policy.
        policy: the teacher.
        task: what is played.
        info: what it is like.
        settings: as asked.
        rungs: the ladder.
        reference: what teacher and random policy returned, once played.
        datasets: names, in the order in which rungs learn from them.
        labelled: states in them.
        compressed: results for the smallest student, pruned and in int8.
    """

    root: Path
    teacher: Any
    policy: NetworkPolicy
    task: TaskSpec
    info: TaskInfo
    settings: ShrinkSettings
    rungs: list[Rung]
    reference: Reference | None = None
    datasets: list[str] = field(default_factory=list[str])
    labelled: int = 0
    compressed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def claims(self) -> int:
        """How many students may be said to hold: each has an equal part of the 5 %."""
        return len(self.rungs) + len(self.settings.prune) + int(self.settings.int8)

    @property
    def winner(self) -> Rung | None:
        """The smallest that is shown to hold."""
        held = [rung for rung in self.rungs if rung.holds]
        return min(held, key=lambda rung: rung.cost(self.settings.budget), default=None)

    @property
    def next_smaller(self) -> Rung | None:
        """The largest below the smallest that holds."""
        if (best := self.winner) is None:
            return None
        budget = self.settings.budget
        smaller = [rung for rung in self.rungs if rung.cost(budget) < best.cost(budget)]
        return max(smaller, key=lambda rung: rung.cost(budget), default=None)

    def measure_teacher(self) -> Reference:
        """Teacher and random policy over one round.

        Raises:
            TaskError: the teacher plays no better than random: there is nothing to hold.
        """
        settings = self.settings
        who = Contestants(
            self.policy, settings.teacher_act, Settings().student_act, torch.device("cpu")
        )
        arena = Arena(self.task, self.info, settings.evaluation_envs, self.seed_of(len(self.rungs)))
        with arena:
            found = Prover(arena, who, settings.floor).compare_teacher()
        if not found.is_useful:
            raise TaskError(
                f"the teacher returned {found.teacher:.4g} and the random policy "
                f"{found.random:.4g}: there is nothing to hold. Is it the right task, does it need "
                "--teacher-act sample, or --vecnormalize PATH?"
            )
        self.reference = found
        return found

    def order(self, rung: Rung, stage: int, collect: int, last: bool = False) -> Order:
        """What a rung is to do next."""
        assert self.reference is not None, "the teacher is measured first"
        return Order(
            root=self.root,
            index=rung.index,
            student=rung.student,
            stage=stage,
            teacher=self.teacher,
            task=self.task,
            settings=self.run_settings(rung.index, method_of(rung.student)),
            error_rate=LEVEL / self.claims,
            reference=self.reference,
            known=tuple(self.datasets[: rung.seen]),
            fresh=tuple(self.datasets[rung.seen :]),
            capacity=self.capacity,
            collect=collect,
            taken=sum(result["rows"] for result in rung.results),
            last=last,
        )

    @property
    def capacity(self) -> int:
        """States that may be labelled: in the halving, and as many again to try smaller ones."""
        collections = len(self.rungs) * (self.settings.stages + 1) + 1
        return 2 * self.settings.steps + ROUNDING * collections

    def run_settings(self, place: int, method: str) -> Settings:
        """Of a run of this sweep; each plays on seeds of its own."""
        settings = self.settings
        return Settings(
            method=method,
            steps=self.capacity,
            until=settings.floor,
            seed=self.seed_of(place),
            teacher_act=settings.teacher_act,
            vecnormalize=settings.vecnormalize,
            card=settings.card,
            evaluation_envs=settings.evaluation_envs,
            command=settings.command,
        )

    def seed_of(self, place: int) -> int:
        """A seed for one run of the sweep."""
        return int(np.random.default_rng([self.settings.seed, 5, place]).integers(2**31))

    def identity(self) -> dict[str, Any]:
        """What must be equal for a sweep to be gone on with."""
        settings = self.settings
        return {
            "teacher": self.policy.info.fingerprint,
            "task": self.info.id,
            "env_kwargs": {name: str(value) for name, value in self.task.env_kwargs.items()},
            "ladder": [rung.student for rung in self.rungs],
            "floor": settings.floor,
            "budget": str(settings.budget),
            "steps": settings.steps,
            "stages": settings.stages,
            "prune": list(settings.prune),
            "int8": settings.int8,
            "seed": settings.seed,
            "teacher_act": str(settings.teacher_act),
            "evaluation_envs": settings.evaluation_envs,
        }
