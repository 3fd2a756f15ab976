import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import SettingError
from rldistill.methods.schedules import Constant, FirstRounds, Geometric, Linear, Weaning

schedules = st.one_of(
    st.floats(0, 1).map(Constant),
    st.integers(1, 100).map(FirstRounds),
    st.floats(0, 1, exclude_min=True, exclude_max=True).map(Geometric),
    st.builds(Linear, st.floats(0, 1), st.floats(0, 1), st.integers(1, 100)),
)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(0.3), [0.3, 0.3, 0.3, 0.3]),
        (FirstRounds(), [1.0, 0.0, 0.0, 0.0]),
        (FirstRounds(2), [1.0, 1.0, 0.0, 0.0]),
        (Geometric(0.5), [1.0, 0.5, 0.25, 0.125]),  # DAgger's p^(i - 1), with rounds from 1
        (Linear(1.0, 0.25, 3), [1.0, 0.75, 0.5, 0.25]),
        (Linear(1.0, 0.0, 2), [1.0, 0.5, 0.0, 0.0]),
    ],
)
def test_schedules_by_hand(schedule, expected):
    assert [schedule.at(i) for i in range(4)] == pytest.approx(expected)


@given(schedules)
def test_a_schedule_lies_between_its_ends(schedule):
    """Which is why a Control checks only the ends."""
    shares = [schedule.at(i) for i in (0, 1, 2, 5, 50, 99, 100, 10**6)]
    assert min(shares) >= min(shares[0], shares[-1]) - 1e-12
    assert max(shares) <= max(shares[0], shares[-1]) + 1e-12


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (FirstRounds, (0,), "rounds must be at least 1, got 0"),
        (Geometric, (0.0,), "base must lie between 0 and 1, got 0"),
        (Geometric, (1.0,), "base must lie between 0 and 1"),
        (Geometric, (float("nan"),), "base must lie between 0 and 1"),
        (Linear, (1.0, 0.0, 0), "rounds must be at least 1, got 0"),
        (Weaning, (0.0, 5), "start must be above 0 and rounds at least 1, got 0 and 5"),
        (Weaning, (float("nan"), 5), "start must be above 0"),
        (Weaning, (1.0, 0), "got 1 and 0"),
    ],
)
def test_a_setting_out_of_range_is_named(kind, settings, message):
    with pytest.raises(SettingError, match=message):
        kind(*settings)


@pytest.mark.parametrize(
    ("fraction", "weight"),
    [(None, 2.0), (0.0, 2.0), (0.25, 1.5), (1.0, 0.0), (1.5, 0.0), (-0.5, 3.0)],
)
def test_weaning_by_hand(fraction, weight):
    """start * max(1 - G_S / G_T, 0); a student worse than the random policy needs more."""
    assert Weaning(2.0, 3).at(2, fraction) == pytest.approx(weight)
    assert Weaning(2.0, 3).at(3, fraction) == 0.0


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.01, 5))
def test_a_better_student_is_weaned_more(first, second, start):
    low, high = sorted((first, second))
    assert Weaning(start).at(0, low) >= Weaning(start).at(0, high) >= 0.0
