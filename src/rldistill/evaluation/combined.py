"""What several tasks make together: the geometric mean of what a student keeps of its teachers."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from rldistill.evaluation.verdict import Verdict

RATIOS = "student / teacher, raw returns"
FRACTIONS = "(student - random) / (teacher - random)"


@final
@dataclass(frozen=True, slots=True)
class Combined:
    """Several tasks in one number.

    Attributes:
        geometric_mean: 1 means as good as the teachers; None where it is not defined.
        geometric_mean_of: RATIOS, or FRACTIONS where a raw return is not above 0.
    """

    geometric_mean: float | None
    geometric_mean_of: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def combine(verdicts: Sequence[Verdict]) -> Combined:
    """The geometric mean over tasks.

    Raw ratios, as in the paper, only where all returns are above 0: a ratio of returns of different
    signs says nothing. Otherwise fractions of the way from the random policy to the teacher; a
    fraction that is not above 0 makes the mean 0.

    Source: Rusu et al. 2016 (arXiv:1511.06295), tables 1 and 2.
    """
    raw = [(verdict.student_return, verdict.teacher_return) for verdict in verdicts]
    if all(student > 0 and teacher > 0 for student, teacher in raw):
        return Combined(geometric_mean([student / teacher for student, teacher in raw]), RATIOS)
    fractions = [verdict.fraction for verdict in verdicts]
    known = [fraction for fraction in fractions if fraction is not None]
    if len(known) < len(fractions):
        return Combined(None, FRACTIONS)
    return Combined(geometric_mean(known), FRACTIONS)


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean logarithm; 0 where a value is not above 0.

    >>> geometric_mean([2.0, 8.0]), geometric_mean([1.0, -1.0])
    (4.0, 0.0)
    """
    if min(values) <= 0.0:
        return 0.0
    return math.exp(sum(map(math.log, values)) / len(values))
