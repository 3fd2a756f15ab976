"""Ratios over episodes, and how often their intervals cover."""

import numpy as np

from rldistill.explain.intervals import per_episode, ratios


def test_ratios_by_hand() -> None:
    above, below = np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[2.0, 0.0], [2.0, 0.0]])
    one, none = ratios(above, below)
    assert (one.value, one.low, one.high) == (1.0, 0.5, 1.5)
    assert np.isnan(none.value)
    assert none.low is None
    (alone,) = ratios(np.array([[1.0], [0.0]]), np.array([[2.0], [0.0]]))
    assert (alone.value, alone.low) == (0.5, None)  # one episode says nothing of others
    sums = per_episode(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 1]), np.array([0, 0, 1]), (2, 2))
    assert sums.tolist() == [[1.0, 2.0], [0.0, 4.0]]


def test_intervals_cover_as_often_as_they_say() -> None:
    """States of one episode are alike: an interval over states would cover far less often."""
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        level = generator.standard_normal(30)
        lengths = generator.integers(5, 15, 30).astype(float)
        (found,) = ratios((level * lengths)[:, None], lengths[:, None], seed)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0 <= found.high
    assert covered / 300 > 0.88  # percentile intervals of 30 episodes are a little short of 0.95
