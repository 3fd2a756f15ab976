"""How far a run has come: counters that are saved, and the Progress records made of them."""

from dataclasses import dataclass
from typing import Any, final

from rldistill.evaluation.looks import Look
from rldistill.evaluation.verdict import Verdict
from rldistill.train.progress import Progress

# The latest look is in metrics.jsonl, the others follow from the request.
_NOT_SAVED = ("latest", "from_dataset", "batch_size")


@final
@dataclass(slots=True)
class RunState:
    """Counters of one run; saved in its checkpoints, but for what the request says again.

    Attributes:
        total_steps: where training ends at the latest.
        from_dataset: env_steps counts rows of a dataset instead, and no environment is stepped.
        next_look: environment steps at which the student is tested next.
        action_gap: of a Q-network teacher, measured in the first round; see Temperature.
        batch_size: states per update.
        before_seconds: total seconds of the parts of this run before it was resumed.
    """

    total_steps: int
    next_look: int
    round_index: int = 0
    env_steps: int = 0
    updates: int = 0
    train_seconds: float = 0.0
    before_seconds: float = 0.0
    loss: float | None = None
    agreement: float | None = None
    action_gap: float | None = None
    latest: Look | None = None
    from_dataset: bool = False
    batch_size: int = 0

    @property
    def played_steps(self) -> int | None:
        """Environment steps of training so far; None where a dataset is learnt from."""
        return None if self.from_dataset else self.env_steps

    def finish_round(self, num_steps: int, updates: int, seconds: float) -> None:
        """Count one round of collecting and learning."""
        self.round_index += 1
        self.env_steps += num_steps
        self.updates = updates
        self.train_seconds += seconds

    def progress(
        self,
        look: Look | None = None,
        verdict: Verdict | None = None,
        message: str = "",
        done: bool = False,
    ) -> Progress:
        """The state as a frozen record; a look is remembered for the records after it."""
        self.latest = look or self.latest
        seen = self.latest
        return Progress(
            phase="done" if done else look.phase if look else "learning",
            round_index=self.round_index,
            env_steps=self.played_steps,
            total_steps=self.total_steps,
            updates=self.updates,
            loss=self.loss,
            agreement=self.agreement,
            steps_per_second=None
            if self.from_dataset
            else self.env_steps / max(self.train_seconds, 1e-9),
            train_seconds=self.train_seconds,
            student_return=seen.student_return if seen else None,
            return_low=seen.low if seen else None,
            return_high=seen.high if seen else None,
            fraction=seen.fraction if seen else None,
            candidate=look.candidate if look else 0,
            episodes=look.episodes if look else 0,
            decision=look.decision if look else "",
            message=message or (verdict.reason if verdict else ""),
            rows=self.env_steps if self.from_dataset else None,
            samples=self.updates * self.batch_size,
        )

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint records."""
        names = [name for name in self.__slots__ if name not in _NOT_SAVED]
        return {name: getattr(self, name) for name in names}

    def restore(self, record: dict[str, Any]) -> None:
        """Take over a checkpoint's counters; total_steps stays this run's own."""
        for name in self.to_json():
            if name != "total_steps":
                setattr(self, name, record[name])
