"""Progress: what the loop yields after each round and each look."""

from dataclasses import asdict, dataclass
from typing import Any, final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step of a run, frozen.

    Attributes:
        phase: "learning", "screening", "confirming" or "done".
        round_index: rounds of collecting and learning so far.
        env_steps: environment steps of training so far, summed over environments.
        total_steps: where training ends at the latest.
        updates: optimiser steps so far.
        loss: mean over the latest round, in nats for divergences.
        agreement: share of the latest round's states where student and teacher chose alike,
            before learning from them; None for continuous actions (see loss).
        steps_per_second: env_steps over train_seconds.
        train_seconds: seconds of collecting and learning, without evaluation.
        student_return: latest mean return of the student, None before the first screening.
        return_low: lower end of its 95 % interval.
        return_high: upper end.
        fraction: latest estimate of (S - R) / (T - R).
        candidate: number of the candidate being confirmed, 0 if none.
        episodes: episodes of this look.
        decision: what this look decided; see rldistill.evaluation.prove.Look.
        message: a line for people; empty most of the time.
    """

    phase: str
    round_index: int
    env_steps: int
    total_steps: int
    updates: int
    loss: float | None
    agreement: float | None
    steps_per_second: float
    train_seconds: float
    student_return: float | None = None
    return_low: float | None = None
    return_high: float | None = None
    fraction: float | None = None
    candidate: int = 0
    episodes: int = 0
    decision: str = ""
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain types, one key per attribute."""
        return asdict(self)
