import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.evaluation.verdict import verdict

returns = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=80)


def random_policy(count: int, seed: int = 0) -> np.ndarray:
    """Like the random policy on CartPole: 8 at worst, 22 in the mean, about 60 at best of 64."""
    return 7.0 + np.random.default_rng(seed).geometric(1 / 15, count)


def noisy(mean: float, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 10, count)


@pytest.mark.parametrize("seed", range(20))
def test_64_perfect_episodes_hold(seed):
    """500 of 500 in each: the case that a floor of 0.95 can just settle (0.95^64 = 0.0375)."""
    found = verdict([500] * 64, [500] * 64, random_policy(64, seed))
    assert found.verdict == "holds"
    assert found.fraction == 1.0
    assert (found.fraction_low, found.fraction_high) == (1.0, 1.0)
    assert found.episodes_to_settle is None
    assert (
        found.reason == "64 episodes of each policy show at one-sided 95 % at least 0.95 of the "
        "teacher's return"
    )


def test_63_perfect_episodes_are_too_few():
    found = verdict([1.0] * 63, [1.0] * 63, [0.0] * 63, floor=0.5)
    assert found.verdict == "unsure"
    assert found.reason == "63 episodes are fewer than the 64 that a verdict needs"
    assert found.episodes_to_settle == 64


def test_one_failure_in_64_leaves_a_perfect_student_unsure():
    found = verdict([500] * 63 + [10], [500] * 64, random_policy(64))
    assert found.verdict == "unsure"
    assert 64 < found.episodes_to_settle < 1000
    assert f"about {found.episodes_to_settle} would do" in found.reason


def test_a_good_student_holds_and_a_bad_one_fails():
    teacher, random = noisy(250, 400, 1), noisy(-150, 400, 2)
    good = verdict(noisy(250, 400, 3), teacher, random)
    bad = verdict(noisy(150, 400, 4), teacher, random)
    assert (good.verdict, bad.verdict) == ("holds", "fails")
    assert good.fraction_low < good.fraction < good.fraction_high
    assert bad.fraction_high < 0.95
    assert "less than 0.95" in bad.reason
    assert bad.episodes_to_settle is None


def test_a_student_at_the_floor_is_unsure():
    student = noisy(0.95 * 250 - 0.05 * 150, 200, 5)
    assert verdict(student, noisy(250, 200, 6), noisy(-150, 200, 7)).verdict == "unsure"


def test_a_disaster_counts_in_full():
    """99 clean episodes and one disaster of the depth that the random policy showed."""
    random = np.append(noisy(-150, 99, 1), -500.0)
    clean = np.full(100, 240.0)
    struck = np.append(clean[1:], -500.0)
    assert verdict(clean, [250] * 100, random).verdict != "holds"
    assert verdict(struck, [250] * 100, random).verdict == "unsure"
    assert verdict(clean - 60, [250] * 100, random).verdict == "fails"


def test_the_lowest_return_of_any_policy_sets_the_odds():
    """The same student is safe if nothing worse than 0 was ever seen, not if -2000 was."""
    student, teacher = np.full(64, 100.0), np.full(64, 100.0)
    random = np.zeros(64)
    assert verdict(student, teacher, random, 0.9).verdict == "holds"
    random[0] = -2000.0
    assert verdict(student, teacher, random, 0.9).verdict == "unsure"


def test_failing_64_times_does_not_refute_a_small_floor():
    """A student that scores in 4 % of its episodes shows none in 64 with probability 0.07."""
    student, teacher, random = np.zeros(64), np.full(64, 100.0), np.zeros(64)
    assert verdict(student, teacher, random, 0.04).verdict == "unsure"
    assert verdict(student, teacher, random, 0.06).verdict == "fails"


def test_a_teacher_like_the_random_policy_has_no_verdict():
    same = noisy(20, 100, 1)
    found = verdict(noisy(20, 100, 2), noisy(20, 100, 3), same)
    assert found.verdict is None
    assert "teacher is not shown to beat the random policy" in found.reason
    assert (found.fraction, found.fraction_low, found.fraction_high) == (None, None, None)
    assert found.student_return == pytest.approx(20, abs=5)


def test_a_teacher_worse_than_random_has_no_verdict():
    assert verdict([5.0] * 100, [1.0] * 100, [9.0, 8.0] * 50).verdict is None


def test_a_random_policy_that_never_scores_is_no_obstacle():
    """Sparse rewards: its returns do not vary and lie at the bottom of the range."""
    found = verdict([1.0] * 80, [1.0] * 80, [0.0] * 80)
    assert found.verdict == "holds"


def test_all_returns_equal_is_no_verdict():
    assert verdict([0.1] * 100, [0.1] * 100, [0.1] * 100).verdict is None


def test_a_floor_of_one_asks_for_more_than_equality():
    equal = verdict([500] * 1000, [500] * 1000, random_policy(1000), floor=1)
    better = verdict([520] * 1000, [500] * 1000, random_policy(1000), floor=1)
    assert (equal.verdict, equal.episodes_to_settle) == ("unsure", None)
    assert "would hardly settle it" in equal.reason
    assert better.verdict == "holds"


def test_more_teacher_episodes_help():
    """Unequal lengths are used whole: the teacher's noise is averaged away."""
    student = np.full(100, 250.0)
    teacher = np.random.default_rng(0).normal(250, 150, 3000)
    random = noisy(-150, 3000, 1)
    assert verdict(student, teacher[:100], random[:100]).verdict == "unsure"
    found = verdict(student, teacher, random, 0.85)
    assert (found.verdict, found.episodes) == ("holds", 100)


def test_pairing_narrows_the_interval():
    start = np.random.default_rng(0).normal(0, 50, 100)
    arrays = (start + 245, start + 250, noisy(-150, 100, 1))
    paired, apart = verdict(*arrays, paired=True), verdict(*arrays)
    assert paired.fraction_high - paired.fraction_low < apart.fraction_high - apart.fraction_low
    assert (paired.paired, apart.paired) == (True, False)


@settings(max_examples=60, deadline=None)
@given(returns, returns, returns, st.floats(0.001, 1))
def test_any_returns_give_plain_json_without_nan(student, teacher, random, floor):
    found = json.loads(json.dumps(verdict(student, teacher, random, floor).as_dict()))
    assert found["verdict"] in ("holds", "fails", "unsure", None)
    assert all(math.isfinite(x) for x in found.values() if isinstance(x, float))
    assert found["reason"]
    if min(map(len, (student, teacher, random))) < 64:
        assert found["verdict"] in ("unsure", None)


def test_lists_arrays_and_integers_agree():
    arrays = [np.array(x) for x in ([3, 4] * 50, [4, 4] * 50, [1, 0] * 50)]
    assert verdict(*arrays) == verdict(*(x.tolist() for x in arrays))


@pytest.mark.parametrize("floor", [0, -0.1, 1.0001, 95, float("nan"), float("inf")])
def test_a_floor_outside_zero_to_one_is_refused(floor):
    with pytest.raises(SettingError, match=r"floor must lie in \(0, 1\].*got"):
        verdict([1.0], [1.0], [0.0], floor)


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ([math.nan], NotFiniteError),
        ([math.inf], NotFiniteError),
        ([], ShapeError),
        ([[1.0]], ShapeError),
        ("abc", SettingError),
    ],
)
def test_bad_returns_are_named(position, wrong, error):
    samples = [[1.0], [1.0], [0.0]]
    samples[position] = wrong
    name = ("student_returns", "teacher_returns", "random_returns")[position]
    with pytest.raises(error, match=name):
        verdict(*samples)


def test_paired_samples_have_equal_lengths():
    with pytest.raises(ShapeError, match="got 2 of the student, 1 of the teacher and 2"):
        verdict([1.0, 1.0], [1.0], [0.0, 0.0], paired=True)
