"""The geometric mean over tasks: of raw ratios where they mean something, else of fractions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.evaluation.combined import FRACTIONS, RATIOS, combine, geometric_mean
from rldistill.evaluation.verdict import Verdict, verdict


def judged(student: float, teacher: float, random: float) -> Verdict:
    return verdict([student] * 64, [teacher] * 64, [random] * 64)


def test_positive_returns_give_raw_ratios_as_in_the_paper() -> None:
    """Table B2's Multi-Dist-KL row: 102.0, 104.4 and 150.1 % make 116.9 %."""
    rows = [(26.3, 25.8), (16.9, 16.2), (6890.3, 4589.8)]
    found = combine([judged(student, teacher, 0.1) for student, teacher in rows])
    assert found.geometric_mean_of == RATIOS
    assert found.geometric_mean == pytest.approx(1.169, abs=2e-3)


def test_a_negative_return_gives_fractions() -> None:
    """Pong from -20 to 20: 18 is 0.95 of the way; the other game 0.5."""
    found = combine([judged(18, 20, -20), judged(-10, 0, -20)])
    assert found.geometric_mean_of == FRACTIONS
    assert found.geometric_mean == pytest.approx((0.95 * 0.5) ** 0.5)


def test_a_teacher_that_does_not_beat_random_leaves_it_undefined() -> None:
    assert combine([judged(-1, -5, -5)]).geometric_mean is None


def test_no_better_than_random_somewhere_makes_it_nothing() -> None:
    assert combine([judged(-20, 20, -20), judged(10, 10, 0)]).geometric_mean == 0.0


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8))
def test_it_lies_between_the_least_and_the_greatest(values: list[float]) -> None:
    assert min(values) * 0.999 <= geometric_mean(values) <= max(values) * 1.001
