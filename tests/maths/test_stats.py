import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.maths import stats

samples = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30).map(np.array)


def test_iqm_by_hand():
    """Of 8 values the 2 lowest and the 2 highest go; of 3 none."""
    assert stats.iqm(np.array([-90.0, 4, 1, 2, 3, 80, 70, -80])) == pytest.approx(2.5)
    assert stats.iqm(np.array([1.0, 2, 9])) == pytest.approx(4.0)


def test_iqm_agrees_with_scipy():
    from scipy.stats import trim_mean

    values = np.random.default_rng(0).normal(size=(5, 37))
    np.testing.assert_allclose(stats.iqm(values), trim_mean(values, 0.25, axis=-1))


@given(samples, st.randoms())
def test_iqm_ignores_order_and_outliers(values, shuffler):
    """Order never matters; with 4 or more values the highest may be anything above itself."""
    shuffled = list(values)
    shuffler.shuffle(shuffled)
    assert stats.iqm(np.array(shuffled)) == pytest.approx(float(stats.iqm(values)), abs=1e-6)
    if values.size >= 4:
        raised = values.copy()
        raised[values.argmax()] += 1e9
        assert stats.iqm(raised) == pytest.approx(float(stats.iqm(values)), abs=1e-6)


@given(samples, st.sampled_from([stats.mean, stats.iqm]))
def test_an_interval_lies_within_the_sample(values, statistic):
    found = stats.estimate(values, statistic, resamples=50)
    assert values.min() <= found.low <= found.high <= values.max()


def test_the_interval_covers_as_often_as_it_says():
    """95 % intervals of 200 normal samples of 60 hold the true mean in about 190 of them."""
    generator = np.random.default_rng(3)
    inside = 0
    for trial in range(200):
        found = stats.estimate(generator.normal(7, 2, 60), resamples=400, seed=trial)
        inside += found.low <= 7 <= found.high
    assert 178 <= inside <= 199


def test_a_higher_level_is_wider():
    values = np.random.default_rng(0).normal(size=40)
    narrow, wide = (stats.estimate(values, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_same_seed_gives_the_same_interval_in_chunks_too(monkeypatch):
    """Chunking bounds the memory; the draws are those of one piece."""
    values = np.random.default_rng(0).normal(size=50)
    whole = stats.estimate(values, seed=4, resamples=101)
    assert whole != stats.estimate(values, seed=5, resamples=101)
    monkeypatch.setattr(stats, "CHUNK", 500)
    assert stats.estimate(values, seed=4, resamples=101) == whole


def test_one_episode_has_no_interval_and_equal_ones_a_point():
    assert stats.estimate([3.0]) == stats.Estimate(3.0, None, None)
    assert stats.estimate([0.1] * 7) == stats.Estimate(pytest.approx(0.1), 0.1, 0.1)


def test_the_fraction_by_hand():
    student, teacher, random = np.array([6.0, 8]), np.array([12.0]), np.array([2.0, 2])
    assert stats.fraction(student, teacher, random) == pytest.approx(0.5)
    assert stats.fraction(student, random, teacher) is None


def test_the_fraction_interval_holds_the_fraction():
    generator = np.random.default_rng(0)
    returns = tuple(generator.normal(mean, 1, 300) for mean in (9.0, 10.0, 0.0))
    low, high = stats.fraction_interval(returns, paired=False)
    assert low < 0.9 < high
    assert high - low < 0.1


def test_pairing_uses_what_the_episodes_share():
    """Student and teacher differ by 1 in every episode: paired, hardly anything is uncertain."""
    start = np.random.default_rng(0).normal(0, 5, 100)
    returns = (start + 19, start + 20, np.zeros(100))
    paired, apart = (stats.fraction_interval(returns, paired=flag) for flag in (True, False))
    assert paired[1] - paired[0] < 0.1 * (apart[1] - apart[0])


def test_no_fraction_interval_where_the_teacher_may_be_random():
    """Its denominator may be 0, and the ratio anything."""
    generator = np.random.default_rng(0)
    returns = tuple(generator.normal(0, 1, 30) for _ in range(3))
    assert stats.fraction_interval(returns, paired=False) is None


def test_no_fraction_interval_from_one_episode():
    returns = (np.array([1.0]), np.array([2.0, 3.0]), np.array([0.0, 0.0]))
    assert stats.fraction_interval(returns, paired=False) is None


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ([], ShapeError, r"returns must be one list.*shape \(0,\)"),
        (3.0, ShapeError, r"shape \(\)"),
        ([[1.0, 2.0]], ShapeError, r"shape \(1, 2\)"),
        ([1.0, float("nan")], NotFiniteError, "1 of 2 are not, the first is episode 1: nan"),
        ([float("-inf")], NotFiniteError, "episode 0: -inf"),
        ([1e300], NotFiniteError, "finite"),
        ([None, 1.0], NotFiniteError, "episode 0"),
        (["x"], SettingError, "must be numbers"),
        ([[1.0], [1.0, 2.0]], SettingError, "must be numbers"),
    ],
)
def test_a_bad_sample_is_named(values, error, says):
    with pytest.raises(error, match=says):
        stats.sample_of(values, "returns")


def test_a_bad_setting_is_named():
    with pytest.raises(SettingError, match=r"level must lie in \(0, 1\); got 95"):
        stats.estimate([1.0, 2.0], level=95)
    with pytest.raises(SettingError, match="resamples must be at least 1; got 0"):
        stats.estimate([1.0, 2.0], resamples=0)


@pytest.mark.parametrize(
    ("count", "level", "share"), [(1, 0.95, 0.95), (2, 0.75, 0.5), (3, 0.875, 0.5)]
)
def test_what_equal_returns_leave_open_by_hand(count, level, share):
    """(1 - share)^count = 1 - level: any larger share would have shown itself, at this level."""
    assert stats.unseen_share(count, level) == pytest.approx(share)


@given(st.integers(1, 10**6))
def test_what_is_left_open_is_less_than_three_over_n(count):
    assert 0 < stats.unseen_share(count) <= min(0.95, 3 / count)


def test_what_is_left_open_needs_an_episode_and_a_level():
    with pytest.raises(SettingError, match="num_episodes must be at least 1; got 0"):
        stats.unseen_share(0)
    with pytest.raises(SettingError, match="level must lie in"):
        stats.unseen_share(5, 1.0)
