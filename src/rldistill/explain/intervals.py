"""Shares and means over the states of whole episodes, with intervals that resample episodes."""

from typing import Any

import numpy as np

from rldistill.maths.stats import Estimate

Array = np.ndarray[Any, Any]
RESAMPLES = 1000
LEVEL = 0.95


def ratios(above: Array, below: Array, seed: int = 0) -> list[Estimate]:
    """sum_e above / sum_e below for K quantities, with 95 % percentile bootstrap intervals.

    States of one episode are not independent, so that episodes are resampled and not states.

    Args:
        above: float64 [E, K], per episode.
        below: float64 [E, K], per episode; not negative.
        seed: of the resampling.

    Returns:
        K estimates: NaN where below is 0 in all; no interval where fewer than two episodes count.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.

    >>> ratios(np.array([[1.0], [1.0]]), np.array([[2.0], [2.0]]))
    [Estimate(value=0.5, low=0.5, high=0.5)]
    """
    episodes = len(above)
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(episodes, np.full(episodes, 1 / episodes), RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = above.sum(0) / below.sum(0)
        spread = (weights @ above) / (weights @ below)
    found: list[Estimate] = []
    for k in range(above.shape[1]):
        defined = spread[:, k][np.isfinite(spread[:, k])]
        if (below[:, k] > 0).sum() < 2 or len(defined) == 0:
            found.append(Estimate(float(values[k]), None, None))
            continue
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found.append(Estimate(float(values[k]), float(low), float(high)))
    return found


def per_episode(values: Array, groups: Array, episode: Array, size: tuple[int, int]) -> Array:
    """Sums of values [N] by episode and group: float64 [E, K].

    >>> per_episode(np.ones(3), np.array([0, 1, 1]), np.array([0, 0, 1]), (2, 2)).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    episodes, count = size
    index = episode * count + groups
    sums = np.bincount(index, weights=values, minlength=episodes * count)
    return sums.reshape(episodes, count).astype(np.float64)
