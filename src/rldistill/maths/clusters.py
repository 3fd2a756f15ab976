"""Means of numbers that come in clusters, such as states that come in episodes."""

import numpy as np
from numpy.typing import ArrayLike

from rldistill.errors import ShapeError
from rldistill.maths.stats import Estimate, sample_of


def cluster_mean(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """The mean of all values, with a bootstrap interval that resamples whole clusters.

    States of one episode are alike: resampled one by one they would seem to tell more than they do.

    Args:
        values: [n], n >= 1.
        clusters: [n], any labels.
        level: two-sided coverage, in (0, 1).
        resamples: bootstrap samples, >= 1.
        seed: of the resampling.

    Returns:
        The mean; no interval where there are fewer than two clusters.

    Raises:
        ShapeError: the lengths differ, or there are no values.
        NotFiniteError: a value is NaN or infinite.

    Source: Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8,
    strategy 1.

    >>> cluster_mean([0.0, 0.0, 1.0], ["a", "a", "b"]).value
    0.3333333333333333
    """
    sample, labels = sample_of(values, "values"), np.asarray(clusters)
    if labels.shape != sample.shape:
        raise ShapeError(f"every value needs a cluster: {sample.shape} and {labels.shape}")
    _, index = np.unique(labels, return_inverse=True)
    count = int(index.max()) + 1
    value = float(sample.mean())
    if count < 2:
        return Estimate(value, None, None)
    sums, sizes = np.bincount(index, sample), np.bincount(index)
    picks = np.random.default_rng(seed).integers(0, count, (resamples, count))
    means = sums[picks].sum(-1) / sizes[picks].sum(-1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))
