"""Means of clustered numbers: the interval is that of the clusters, not of the numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import NotFiniteError, ShapeError
from rldistill.maths.clusters import cluster_mean
from rldistill.maths.stats import estimate


def test_by_hand() -> None:
    """Two clusters of one value each: a resample has mean 0, 1/2 or 1."""
    found = cluster_mean([0.0, 1.0], [0, 1])
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_a_resample_counts_values_and_not_clusters() -> None:
    """Three zeros and a one: both clusters once have mean 1/4, which half of the resamples have."""
    found = cluster_mean([0.0, 0.0, 0.0, 1.0], [0, 0, 0, 1], level=0.4)
    assert (found.low, found.high) == (0.25, 0.25)


def test_copies_of_a_number_within_a_cluster_tell_nothing_more() -> None:
    """100 equal states per episode: the interval of the 20 episodes, ten times that of states."""
    generator = np.random.default_rng(0)
    per_episode = generator.standard_normal(20)
    values, clusters = np.repeat(per_episode, 100), np.repeat(np.arange(20), 100)
    found, few, many = cluster_mean(values, clusters), estimate(per_episode), estimate(values)
    width, right, wrong = (x.high - x.low for x in (found, few, many))
    assert width == pytest.approx(right, rel=0.15)
    assert width > 5 * wrong


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    """Unequal clusters with a common part: 95 % of 300 intervals, to within what chance allows."""
    generator = np.random.default_rng(1)
    hits = 0
    for repeat in range(300):
        sizes = generator.integers(1, 30, 40)
        common = np.repeat(generator.standard_normal(40), sizes)
        values = common + 0.3 * generator.standard_normal(len(common))
        found = cluster_mean(values, np.repeat(np.arange(40), sizes), resamples=300, seed=repeat)
        hits += found.low <= 0.0 <= found.high
    assert 0.88 <= hits / 300 <= 0.99


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.integers(1, 5))
def test_the_mean_is_in_its_range_and_labels_are_only_labels(
    values: list[float], count: int
) -> None:
    clusters = [i % count for i in range(len(values))]
    found = cluster_mean(values, clusters, resamples=50)
    renamed = cluster_mean(values, [f"episode {c}" for c in clusters], resamples=50)
    assert found.value == pytest.approx(np.mean(values), abs=1e-6)
    assert (found.low is None) == (count == 1)
    if found.low is not None:
        assert min(values) - 1e-6 <= found.low <= found.high <= max(values) + 1e-6
    assert renamed.value == found.value


def test_what_is_no_sample_is_refused() -> None:
    with pytest.raises(ShapeError, match="cluster"):
        cluster_mean([1.0, 2.0], [0])
    with pytest.raises(ShapeError):
        cluster_mean([], [])
    with pytest.raises(NotFiniteError):
        cluster_mean([np.nan, 1.0], [0, 1])
