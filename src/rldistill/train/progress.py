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
        env_steps: environment steps of training so far, summed over environments; None where a
            dataset is learnt from.
        total_steps: where training ends at the latest: in environment steps, or in rows.
        updates: optimiser steps so far.
        loss: mean over the latest round, in nats for divergences.
        agreement: share of the latest round's states where student and teacher chose alike,
            before learning from them; None for continuous actions (see loss).
        steps_per_second: env_steps over train_seconds; None where a dataset is learnt from.
        train_seconds: seconds of collecting and learning, without evaluation.
        student_return: latest mean return of the student, None before the first screening.
        return_low: lower end of its 95 % interval.
        return_high: upper end.
        fraction: latest estimate of (S - R) / (T - R).
        candidate: number of the candidate being confirmed, 0 if none.
        episodes: episodes of this look.
        decision: what this look decided; see rldistill.evaluation.prove.Look.
        message: a line for people; empty most of the time.
        rows: rows of a dataset that were worked through so far, repeats counted; None where
            environments are stepped.
        samples: states that were learnt from so far, repeats counted: updates times their batch,
            of which the last of a round may be smaller.
    """

    phase: str
    round_index: int
    env_steps: int | None
    total_steps: int
    updates: int
    loss: float | None
    agreement: float | None
    steps_per_second: float | None
    train_seconds: float
    student_return: float | None = None
    return_low: float | None = None
    return_high: float | None = None
    fraction: float | None = None
    candidate: int = 0
    episodes: int = 0
    decision: str = ""
    message: str = ""
    rows: int | None = None
    samples: int = 0

    @property
    def unit(self) -> str:
        """What this run counts: "steps" of environments, or "rows" of a dataset."""
        return "steps" if self.rows is None else "rows"

    @property
    def counted(self) -> int:
        """How many of them so far."""
        return (self.env_steps or 0) if self.rows is None else self.rows

    @property
    def per_second(self) -> float:
        """How many of them in a second of train_seconds."""
        if self.steps_per_second is not None:
            return self.steps_per_second
        return self.counted / max(self.train_seconds, 1e-9)

    def to_json(self) -> dict[str, Any]:
        """Plain types, one key per attribute."""
        return asdict(self)
