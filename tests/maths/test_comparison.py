"""Comparisons over runs, tasks and paired episodes, against brute force and scipy."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.maths import comparison

# Few different numbers, so that there are ties.
sample = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=6).map(np.array)
tasks = st.lists(st.tuples(sample, sample), min_size=1, max_size=4)


@given(tasks)
def test_probability_of_improvement_counts_every_pair(pairs):
    """The mean over tasks of the share of pairs of runs that x wins, ties half."""
    expected = np.mean([
        np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(x, y)])
        for x, y in pairs
    ])  # fmt: skip
    x, y = ([pair[i] for pair in pairs] for i in (0, 1))
    assert comparison.probability_of_improvement(x, y) == pytest.approx(expected)
    assert comparison.probability_of_improvement(y, x) == pytest.approx(1 - expected)


def test_probability_of_improvement_is_mann_whitney():
    a, b = np.random.default_rng(0).normal(size=(2, 40))
    u = scipy_stats.mannwhitneyu(a, b).statistic
    assert comparison.probability_of_improvement([a], [b]) == pytest.approx(u / 1600)


def test_tasks_are_never_mixed():
    """x wins every pair on both tasks, although its first task scores below y's second."""
    x, y = [np.array([1.0]), np.array([101.0])], [np.array([0.0]), np.array([100.0])]
    assert comparison.probability_of_improvement(x, y) == 1.0
    with pytest.raises(ShapeError, match="same tasks; got 2 and 1"):
        comparison.probability_of_improvement(x, y[:1])


@given(st.lists(sample, min_size=1, max_size=4), st.integers(-4, 4))
def test_a_profile_counts_runs_above_the_threshold(scores, threshold):
    """Strictly above; each task counts alike."""
    expected = np.mean([np.mean([value > threshold for value in task]) for task in scores])
    (found,) = comparison.performance_profile(scores, np.array([float(threshold)]))
    assert found == pytest.approx(expected)


@given(st.lists(sample, min_size=1, max_size=4))
def test_a_profile_never_rises(scores):
    profile = comparison.performance_profile(scores, np.linspace(-4, 4, 33))
    assert (np.diff(profile) <= 0).all()
    assert profile[0] == 1.0
    assert profile[-1] == 0.0


def test_iqm_over_tasks_is_the_trimmed_mean():
    """With 4 n runs in all and as many of each task, a quarter of the runs goes at each end."""
    values = np.random.default_rng(1).normal(size=(5, 8))
    expected = scipy_stats.trim_mean(values.ravel(), 0.25)
    assert comparison.aggregate_iqm(list(values)) == pytest.approx(expected)


def test_a_task_with_more_runs_does_not_count_more():
    """Each run of one task repeated changes nothing."""
    a, b = np.array([0.0, 1.0, 2.0]), np.array([5.0, 7.0])
    once, twice = comparison.aggregate_iqm([a, b]), comparison.aggregate_iqm([np.tile(a, 3), b])
    assert twice == pytest.approx(once)


def test_an_interval_resamples_within_tasks():
    """Tasks without any spread have an interval without width, far apart as they are."""
    scores = [np.zeros(3), np.full(3, 100.0)]
    low, high = comparison.stratified_interval([scores], lambda s: float(np.mean(s)), resamples=50)
    assert (low, high) == (50.0, 50.0)


def test_a_single_run_has_no_interval():
    """What another seed would have done is not known: no interval of width 0."""
    scores = [np.array([1.0, 2.0]), np.array([3.0])]
    assert comparison.stratified_interval([scores], comparison.aggregate_iqm) is None


@pytest.mark.parametrize("statistic", ["iqm", "improvement", "difference"])
def test_intervals_cover_about_as_often_as_they_say(statistic):
    """200 worlds of 3 tasks with 10 runs each: 95 % intervals hold the truth in 88 to 100 %."""
    generator, inside = np.random.default_rng(7), 0
    for world in range(200):
        x, y = ([generator.normal(k, 1, 10) for k in range(3)] for _ in range(2))
        if statistic == "difference":
            found = comparison.mean_difference(x[0], y[0], resamples=100, seed=world)
            low, high, truth = found.low, found.high, 0.0
        else:
            matrices = [x] if statistic == "iqm" else [x, y]
            function, truth = {
                "iqm": (comparison.aggregate_iqm, 1.0),
                "improvement": (comparison.probability_of_improvement, 0.5),
            }[statistic]
            low, high = comparison.stratified_interval(
                matrices, function, resamples=100, seed=world
            )
        inside += low <= truth <= high
    assert 176 <= inside <= 200


def test_the_permutation_test_is_that_of_mann_whitney():
    """On one task without ties: scipy's exact test."""
    a, b = np.random.default_rng(0).normal(size=(2, 5))
    expected = scipy_stats.mannwhitneyu(a, b + 0.5, method="exact").pvalue
    assert comparison.improvement_p_value([a], [b + 0.5]) == pytest.approx(expected)
    drawn = comparison.improvement_p_value([a], [b + 0.5], permutations=200)
    assert drawn == pytest.approx(expected, abs=0.1)


def test_the_permutation_test_keeps_runs_on_their_task():
    """Two runs of each on two tasks: the best of 6 x 6 splits, and its mirror image."""
    x, y = [np.array([3.0, 4.0]), np.array([103.0, 104.0])], [np.array([1.0, 2.0])] * 2
    assert comparison.improvement_p_value(x, y) == pytest.approx(2 / 36)


def test_the_permutation_test_keeps_its_level_with_three_runs():
    """300 worlds without a difference: p <= 0.1 in at most about a tenth."""
    generator, found = np.random.default_rng(5), 0
    for _ in range(300):
        a, b = generator.exponential(size=(2, 3))
        found += comparison.improvement_p_value([a], [b]) <= 0.1
    assert 15 <= found <= 45


@pytest.mark.parametrize(("runs", "least", "most"), [(3, 0.68, 0.85), (5, 0.90, 0.99)])
def test_intervals_of_few_runs_cover_as_the_docstring_says(runs, least, most):
    """Of a mean on one task: 75 % at 3 runs, 94 % at 5; plain percentiles have 86 % there."""
    generator, inside = np.random.default_rng(1), 0
    for world in range(300):
        scores = [generator.normal(size=runs)]
        low, high = comparison.stratified_interval(
            [scores], lambda drawn: float(drawn[0].mean()), resamples=200, seed=world
        )
        inside += low <= 0 <= high
    assert least <= inside / 300 <= most


def test_a_level_out_of_range_is_refused():
    with pytest.raises(SettingError, match=r"\(0, 1\); got 95"):
        comparison.stratified_interval([[np.ones(3)]], comparison.aggregate_iqm, level=95)


def test_paired_difference_by_hand():
    found = comparison.paired_difference([3, 2, 5, 0], [1, 2, 1, 1])
    assert found.difference.value == pytest.approx(5 / 4)
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.p_value == pytest.approx(1.0)


def test_the_sign_test_is_exact():
    """Seven wins of seven: twice 2^-7."""
    found = comparison.paired_difference(np.arange(8), np.array([-1, 0, 1, 2, 3, 4, 5, 7]))
    assert found.ties == 1
    assert found.p_value == pytest.approx(2 * 0.5**7)
    assert comparison.paired_difference([1, 1], [1, 1]).p_value == 1.0


def test_pairing_removes_what_both_share():
    """Starts that differ by 1000 and policies that differ by 1: seen with pairs, not without."""
    generator = np.random.default_rng(0)
    starts = generator.normal(0, 1000, 100)
    a, b = starts + 1 + generator.normal(0, 0.1, 100), starts
    paired, unpaired = comparison.paired_difference(a, b), comparison.mean_difference(a, b)
    assert paired.difference.low > 0.9
    assert unpaired.low < 0 < unpaired.high


def test_one_episode_of_each_has_no_interval():
    assert comparison.mean_difference([1.0], [2.0, 3.0]).low is None
    assert comparison.paired_difference([1.0], [2.0]).difference.low is None


def test_bad_samples_are_refused():
    with pytest.raises(ShapeError, match="got 2 of one and 3"):
        comparison.paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(NotFiniteError):
        comparison.mean_difference([1, math.nan], [1, 2])
    with pytest.raises(ShapeError, match="at least one task"):
        comparison.score_matrix([], "scores")
    with pytest.raises(NotFiniteError, match="scores of task 1"):
        comparison.score_matrix([[1.0], [math.inf]], "scores")
