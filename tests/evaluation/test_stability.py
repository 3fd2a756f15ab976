"""Variance of return over the last half of the looks."""

import pytest

from rldistill.evaluation.stability import stability


def looks(teacher: list[float], student: list[float]) -> list[dict[str, float]]:
    return [
        {"teacher_return": t, "student_return": s} for t, s in zip(teacher, student, strict=True)
    ]


def test_the_first_half_does_not_count() -> None:
    found = stability(looks([99, -99, 1, 3], [50, -50, 2, 2]))
    assert found is not None
    assert (found.teacher, found.student, found.looks) == (1.0, 0.0, 2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_looks_tell_nothing(count: int) -> None:
    assert stability(looks([1.0] * count, [1.0] * count)) is None
