"""Statistics on plain arrays of episode returns: means and fractions with their intervals.

Returns are in units of raw reward, one number per episode. The bootstrap intervals describe the
episodes seen; the test that decides a verdict is in rldistill.maths.betting.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rldistill.errors import NotFiniteError, SettingError, ShapeError

FloatArray = NDArray[np.floating[Any]]

LARGEST_RETURN = 1e100  # sums and products of returns below this stay finite
CHUNK = 200_000  # resampled numbers held at once: 1.6 MB, which stays in the cache


def sample_of(values: ArrayLike, name: str) -> FloatArray:
    """Check a sample of returns and give it as float64 [n].

    Args:
        values: [n], n >= 1, finite.
        name: what the error calls it.

    Raises:
        ShapeError: empty, or not one axis.
        NotFiniteError: NaN, infinity, or beyond 1e100.
        SettingError: not numbers.

    >>> sample_of([1, 2], "returns")
    array([1., 2.])
    """
    try:
        sample = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} must be numbers, one per episode: {error}") from error
    if sample.ndim != 1 or sample.size == 0:
        raise ShapeError(
            f"{name} must be one list of at least one return, one per episode; got shape "
            f"{sample.shape}"
        )
    wrong = np.flatnonzero(~(np.abs(sample) < LARGEST_RETURN))
    if wrong.size:
        raise NotFiniteError(
            f"{name} must be finite; {wrong.size} of {sample.size} are not, the first is episode "
            f"{wrong[0]}: {sample[wrong[0]]}"
        )
    return sample


def mean(values: FloatArray) -> FloatArray:
    """Arithmetic mean over the last axis: [..., n] -> [...].

    >>> float(mean(np.array([1.0, 3.0])))
    2.0
    """
    return np.asarray(values.mean(-1))


def iqm(values: FloatArray) -> FloatArray:
    """Interquartile mean over the last axis: [..., n] -> [...].

    The mean of what is left when floor(n / 4) values are cut off at each end.

    Source: Agarwal et al. 2021 (arXiv:2108.13264), section 4.3, as `rliable` computes it.

    >>> float(iqm(np.array([-1000.0, 1.0, 3.0, 1000.0])))
    2.0
    """
    count = values.shape[-1]
    cut = count // 4
    return mean(np.sort(values, -1)[..., cut : count - cut])


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """A number computed from a sample and its interval; no interval from a single episode."""

    value: float
    low: float | None
    high: float | None


def estimate(
    values: ArrayLike,
    statistic: Callable[[FloatArray], FloatArray] = mean,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """A statistic of a sample with its percentile bootstrap interval.

    Args:
        values: [n] returns, n >= 1.
        statistic: maps [..., n] to [...]; mean and iqm do.
        level: two-sided coverage, in (0, 1).
        resamples: bootstrap samples, >= 1.
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        The estimate. n = 1: no interval. No deviation: an interval of width 0, which says what was
        seen and nothing of what was not; the verdict does not use it.

    Raises:
        ShapeError, NotFiniteError, SettingError: bad values or settings.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.

    >>> estimate([5.0, 5.0, 5.0])
    Estimate(value=5.0, low=5.0, high=5.0)
    """
    sample = sample_of(values, "values")
    value = float(statistic(sample))
    if sample.size == 1:
        return Estimate(value, None, None)
    generator = np.random.default_rng(seed)
    parts = [
        statistic(sample[generator.integers(0, sample.size, (rows, sample.size))])
        for rows in _chunks(sample.size, resamples)
    ]
    # Rounding can put a resampled mean of equal numbers a hair beside them.
    spread = np.clip(np.concatenate(parts), sample.min(), sample.max())
    return Estimate(value, *_percentiles(spread, level))


def unseen_share(num_episodes: int, level: float = 0.95) -> float:
    """Largest share of episodes p that none of n episodes may have shown: (1 - p)^n = 1 - level.

    It is what n equal returns leave open, where a bootstrap interval has no width: at confidence
    `level` fewer than this share of episodes return anything else. About 3 / n at 0.95.

    Args:
        num_episodes: n >= 1, independent.
        level: one-sided confidence, in (0, 1).

    Raises:
        SettingError: n below 1, or level out of range.

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits", for 0 of n.

    >>> round(unseen_share(256), 4)
    0.0116
    """
    if num_episodes < 1:
        raise SettingError(f"num_episodes must be at least 1; got {num_episodes}")
    _check_level(level)
    return 1.0 - (1.0 - level) ** (1.0 / num_episodes)


def fraction(student: FloatArray, teacher: FloatArray, random: FloatArray) -> float | None:
    """(S - R) / (T - R), mean returns; None where the teacher's is not above the random policy's.

    >>> fraction(np.array([9.0]), np.array([10.0]), np.array([0.0]))
    0.9
    """
    base, top = float(random.mean()), float(teacher.mean())
    return (float(student.mean()) - base) / (top - base) if top > base else None


def fraction_interval(
    returns: tuple[FloatArray, FloatArray, FloatArray],
    *,
    paired: bool,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of (S - R) / (T - R).

    Args:
        returns: those of student [n], teacher [m] and random policy [k].
        paired: episode i of the three had the same start; they are resampled together.
        level, resamples, seed: as in estimate.

    Returns:
        (low, high), or None where there is none: a single episode, or more than (1 - level) / 2 of
        the resamples in which the teacher is not above the random policy.

    Raises:
        SettingError: level or resamples out of range.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.

    >>> nine, ten, zero = np.full(4, 9.0), np.full(4, 10.0), np.zeros(4)
    >>> fraction_interval((nine, ten, zero), paired=False)
    (0.9, 0.9)
    """
    sizes = tuple(sample.size for sample in returns)
    if min(sizes) < 2:
        return None
    generator = np.random.default_rng(seed)
    parts: list[FloatArray] = []
    for rows in _chunks(max(sizes), resamples):
        picks = [generator.integers(0, size, (rows, size)) for size in sizes[: 1 if paired else 3]]
        picks = picks * 3 if paired else picks
        means = [sample[pick].mean(-1) for sample, pick in zip(returns, picks, strict=True)]
        parts.append(np.stack(means))
    student, teacher, random = np.concatenate(parts, -1)
    above = teacher > random
    if (~above).mean() > (1 - level) / 2:
        return None
    return _percentiles((student - random)[above] / (teacher - random)[above], level)


def _chunks(size: int, resamples: int) -> list[int]:
    if resamples < 1:
        raise SettingError(f"resamples must be at least 1; got {resamples}")
    rows = max(1, CHUNK // size)
    return [min(rows, resamples - start) for start in range(0, resamples, rows)]


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise SettingError(f"level must lie in (0, 1); got {level}")


def _percentiles(values: FloatArray, level: float) -> tuple[float, float]:
    _check_level(level)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
