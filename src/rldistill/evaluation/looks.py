"""What was seen of a student, its teacher and its rivals while a run was on."""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from rldistill.maths import stats

Phase = Literal["screening", "confirming"]


@final
@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a student showed.

    Attributes:
        phase: what the look was for.
        student_return: mean over the episodes of this phase so far.
        low: lower end of its 95 % interval.
        high: upper end.
        fraction: estimate of (S - R) / (T - R); None where the teacher does not beat random.
        candidate: number of the candidate, 0 while screening.
        episodes: of this phase so far.
        decision: "nominate" or "reject" from screening; "holds", "continue" or "give-up" from
            confirming.
    """

    phase: Phase
    student_return: float
    low: float | None
    high: float | None
    fraction: float | None
    candidate: int
    episodes: int
    decision: str


@final
@dataclass(frozen=True, slots=True)
class Halving:
    """Who won a successive halving.

    Attributes:
        best: its place among the students.
        mean: of its returns in the rounds that chose it, which flatter it.
        episodes: how many those were.
    """

    best: int
    mean: float
    episodes: int


@final
@dataclass(frozen=True, slots=True)
class Reference:
    """What one round of teacher and random policy returned: what screening compares with.

    Attributes:
        teacher: mean return.
        random: mean return.
        margin: two standard errors of their difference.
    """

    teacher: float
    random: float
    margin: float

    @property
    def is_useful(self) -> bool:
        """Whether the teacher seems to beat the random policy, so that a fraction means much."""
        return self.teacher - self.random > self.margin

    def fraction(self, student_return: float) -> float | None:
        """(S - R) / (T - R), None where the teacher returned no more than the random policy."""
        if self.teacher <= self.random:
            return None
        return (student_return - self.random) / (self.teacher - self.random)


def look_at(
    phase: Phase,
    returns: np.ndarray[Any, Any],
    fraction: float | None,
    candidate: int,
    decision: str,
) -> Look:
    """The look that these returns [N] are."""
    mean = stats.estimate(returns)
    return Look(phase, mean.value, mean.low, mean.high, fraction, candidate, len(returns), decision)
