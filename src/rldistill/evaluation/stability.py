"""How steady a student is beside the moving teacher that it follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np


@final
@dataclass(frozen=True, slots=True)
class Stability:
    """Variance of return over the last half of the looks.

    Attributes:
        teacher: of the versions' scores, whether they were followed or not.
        student: of the student's scores at the same times.
        looks: how many looks are in the last half.
    """

    teacher: float
    student: float
    looks: int


def stability(looks: Sequence[Mapping[str, Any]]) -> Stability | None:
    """How steady both were; None where the last half has fewer than two looks.

    Args:
        looks: lines of following.jsonl, each with teacher_return and student_return.

    Source: Rusu et al. 2016 (arXiv:1511.06295), section 4.5 and figure 5, which shows curves alone.

    >>> look = lambda t, s: {"teacher_return": t, "student_return": s}
    >>> stability([look(0, 0), look(0, 0), look(1, 3), look(3, 3)])
    Stability(teacher=1.0, student=0.0, looks=2)
    """
    half = looks[len(looks) // 2 :]
    if len(half) < 2:
        return None
    names = ("teacher_return", "student_return")
    teacher, student = (float(np.var([float(look[name]) for look in half])) for name in names)
    return Stability(teacher, student, len(half))
