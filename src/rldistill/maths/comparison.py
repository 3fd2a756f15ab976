"""Comparing methods on plain arrays of scores: over runs and tasks, or over paired episodes.

A score matrix is one sample of scores per task, [n_k] for task k, one score per run: several runs
of a method differ in their seed. Tasks count alike, however many runs each has. The intervals
resample runs within their task (a stratified bootstrap), so they speak of other seeds on the same
tasks, never of other tasks.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import final

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from rldistill.errors import SettingError, ShapeError
from rldistill.maths.stats import Estimate, FloatArray, estimate, sample_of

Scores = Sequence[FloatArray]
RESAMPLES = 2000


def score_matrix(samples: Sequence[ArrayLike], name: str) -> list[FloatArray]:
    """Check one sample of scores per task.

    Raises:
        ShapeError, NotFiniteError, SettingError: no task, an empty one, or no finite numbers.

    >>> score_matrix([[1, 2], [3]], "scores")
    [array([1., 2.]), array([3.])]
    """
    if not samples:
        raise ShapeError(f"{name} must have at least one task")
    return [sample_of(sample, f"{name} of task {k}") for k, sample in enumerate(samples)]


def aggregate_iqm(scores: Scores) -> float:
    """Interquartile mean over all runs of all tasks together.

    The weighted mean of what is left when a quarter of the weight is cut off at each end; each task
    has the same weight, shared by its runs. With as many runs of each task it is the IQM of
    Agarwal et al. 2021 up to the rounding of a quarter of the runs.

    Source: Agarwal et al. 2021 (arXiv:2108.13264), section 4.3.

    >>> aggregate_iqm([np.array([-90.0, 1.0]), np.array([3.0, 90.0])])
    2.0
    """
    values = np.concatenate(scores)
    weights = np.concatenate([np.full(s.size, 1 / (s.size * len(scores))) for s in scores])
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(weights[order])
    # How much of each value's weight lies between the quartiles.
    kept = np.clip(ends, 0.25, 0.75) - np.clip(ends - weights[order], 0.25, 0.75)
    return float(values[order] @ kept / kept.sum())


def probability_of_improvement(x: Scores, y: Scores) -> float:
    """P(X > Y) + P(X = Y) / 2 of a random run of each on the same task, averaged over tasks.

    Args:
        x, y: one sample per task, [n_k] and [m_k], the tasks in the same order.

    Returns:
        In [0, 1]; 0.5 where neither is better.

    Raises:
        ShapeError: not the same number of tasks.

    Source: Agarwal et al. 2021 (arXiv:2108.13264), section 4.3; Mann and Whitney 1947.

    >>> probability_of_improvement([np.array([1.0, 3.0])], [np.array([2.0, 3.0])])
    0.375
    """
    if len(x) != len(y):
        raise ShapeError(f"both must have scores on the same tasks; got {len(x)} and {len(y)}")
    return float(np.mean([_wins(a, b) for a, b in zip(x, y, strict=True)]))


def _wins(a: FloatArray, b: FloatArray) -> float:
    ordered = np.sort(b)
    below = np.searchsorted(ordered, a, "left")
    not_above = np.searchsorted(ordered, a, "right")
    return float((below + not_above).sum() / (2 * a.size * b.size))


def improvement_p_value(x: Scores, y: Scores, *, permutations: int = 2000, seed: int = 0) -> float:
    """Two-sided p-value of "X and Y are the same": runs swap sides within each task.

    It is exact whatever the distribution and however few the runs, where a bootstrap interval is
    too narrow. Three runs of each on one task cannot bring it below 0.1.

    Args:
        x, y: as in probability_of_improvement.
        permutations: drawn at random; all are counted where there are no more than these.
        seed: of the draws.

    Source: Pitman 1937; Phipson and Smyth 2010, for the draws: (1 + as extreme) / (1 + drawn).

    >>> improvement_p_value([np.array([4.0, 5.0, 6.0])], [np.array([1.0, 2.0, 3.0])])
    0.1
    """
    seen = abs(probability_of_improvement(x, y) - 0.5) - 1e-12
    pools = [np.concatenate(pair) for pair in zip(x, y, strict=True)]
    ways = math.prod(math.comb(pool.size, a.size) for pool, a in zip(pools, x, strict=True))
    splits = (
        _all_splits(pools, x) if ways <= permutations else _splits(pools, x, permutations, seed)
    )
    extreme = [abs(probability_of_improvement(a, b) - 0.5) >= seen for a, b in splits]
    if ways <= permutations:
        return sum(extreme) / len(extreme)
    return (1 + sum(extreme)) / (1 + len(extreme))


_Split = tuple[list[FloatArray], list[FloatArray]]


def _all_splits(pools: Scores, x: Scores) -> Iterator[_Split]:
    """Every way to hand the runs of each task to the two sides."""
    choices = [combinations(range(p.size), a.size) for p, a in zip(pools, x, strict=True)]
    for picked in product(*choices):
        pairs = [(list(pick), pool) for pick, pool in zip(picked, pools, strict=True)]
        yield [pool[pick] for pick, pool in pairs], [np.delete(pool, pick) for pick, pool in pairs]


def _splits(pools: Scores, x: Scores, count: int, seed: int) -> Iterator[_Split]:
    generator = np.random.default_rng(seed)
    for _ in range(count):
        mixed = [generator.permutation(pool) for pool in pools]
        sides = [(pool[: a.size], pool[a.size :]) for pool, a in zip(mixed, x, strict=True)]
        yield [side[0] for side in sides], [side[1] for side in sides]


def performance_profile(scores: Scores, thresholds: FloatArray) -> FloatArray:
    """Share of runs that score above each threshold, averaged over tasks: [t] -> [t].

    Source: Agarwal et al. 2021 (arXiv:2108.13264), section 4.2, equation 3.

    >>> performance_profile([np.array([0.5, 1.0])], np.array([0.0, 0.5, 1.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    shares = [
        1 - np.searchsorted(np.sort(sample), thresholds, "right") / sample.size for sample in scores
    ]
    return np.mean(shares, axis=0)


def resampled(scores: Scores, generator: np.random.Generator) -> list[FloatArray]:
    """One stratified bootstrap sample: runs drawn with replacement within each task."""
    return [sample[generator.integers(0, sample.size, sample.size)] for sample in scores]


def stratified_interval(
    matrices: Sequence[Scores],
    statistic: Callable[..., float | FloatArray],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray] | None:
    """Expanded percentile interval of a statistic of score matrices, by stratified bootstrap.

    A plain percentile interval of few runs is too narrow: it lacks the t quantile's length and a
    factor sqrt(n / (n - 1)). The quantiles taken here are as far out as makes up for both, which at
    5 runs raises the coverage of a mean from 86 to 94 %. At 3 runs no quantile is far enough: 75 %.

    Args:
        matrices: what the statistic takes, each resampled by itself.
        statistic: gives a number, or an array, whose interval is pointwise.
        level: two-sided coverage, in (0, 1).
        resamples: bootstrap samples, >= 1.
        seed: of the resampling.

    Returns:
        (low, high); None where some task has a single run: what its seed does is not known.

    Source: Agarwal et al. 2021 (arXiv:2108.13264), section 4.1; Hesterberg 2015
    (arXiv:1411.5279), section 3.3, for the quantiles.

    >>> stratified_interval([[np.array([1.0])]], aggregate_iqm) is None
    True
    """
    sizes = [sample.size for scores in matrices for sample in scores]
    if min(sizes) < 2:
        return None
    generator = np.random.default_rng(seed)
    drawn = [
        statistic(*(resampled(scores, generator) for scores in matrices)) for _ in range(resamples)
    ]
    tail = _expanded_tail(sizes, level)
    low, high = np.quantile(np.asarray(drawn), [tail, 1 - tail], axis=0)
    return low, high


def _expanded_tail(sizes: Sequence[int], level: float) -> float:
    """The share of resamples beyond each end of an interval."""
    if not 0 < level < 1:
        raise SettingError(f"level must lie in (0, 1); got {level}")
    freedom, least = sum(sizes) - len(sizes), min(sizes)
    quantile = scipy_stats.t.ppf((1 - level) / 2, freedom) * math.sqrt(least / (least - 1))
    return float(scipy_stats.norm.cdf(quantile))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """What pairs of episodes with equal starts say.

    Attributes:
        difference: mean of a_i - b_i and its 95 % bootstrap interval over pairs.
        wins, ties, losses: pairs in which a returned more, as much, less.
        p_value: of the exact two-sided sign test of "wins and losses are equally likely"; ties say
            nothing there. 1 where all are ties.
    """

    difference: Estimate
    wins: int
    ties: int
    losses: int
    p_value: float


def paired_difference(a: ArrayLike, b: ArrayLike, *, seed: int = 0) -> PairedDifference:
    """Compare two policies over episodes with equal starts.

    Args:
        a, b: [n] returns, raw reward; episode i of both had the same start.
        seed: of the bootstrap.

    Raises:
        ShapeError: unequal lengths or no episode.
        NotFiniteError: NaN or infinity.

    Source: Efron and Tibshirani 1993, section 13.3; Conover 1999, section 3.4 (sign test).

    >>> found = paired_difference([3.0, 2.0, 5.0], [1.0, 2.0, 1.0])
    >>> found.difference.value, found.wins, found.ties, found.p_value
    (2.0, 2, 1, 0.5)
    """
    first, second = sample_of(a, "a"), sample_of(b, "b")
    if first.size != second.size:
        raise ShapeError(f"paired episodes: got {first.size} of one and {second.size} of the other")
    gaps = first - second
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    sign = 1.0
    if wins + losses:
        sign = float(scipy_stats.binomtest(wins, wins + losses).pvalue)
    return PairedDifference(
        difference=estimate(gaps, seed=seed),
        wins=wins,
        ties=int(gaps.size) - wins - losses,
        losses=losses,
        p_value=sign,
    )


def mean_difference(
    a: ArrayLike, b: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Mean of a minus mean of b, samples that have nothing to do with each other.

    Args:
        a: [n] returns.
        b: [m] returns.
        resamples: bootstrap samples, >= 1.
        seed: of the bootstrap, which resamples each by itself.

    Returns:
        The difference with its 95 % percentile interval; none where either has a single episode.

    Raises:
        ShapeError, NotFiniteError, SettingError: no finite numbers.

    Source: Efron and Tibshirani 1993, section 13.3.

    >>> mean_difference([3.0, 3.0], [1.0, 1.0])
    Estimate(value=2.0, low=2.0, high=2.0)
    """
    first, second = sample_of(a, "a"), sample_of(b, "b")
    value = float(first.mean() - second.mean())
    between = stratified_interval(
        [[first], [second]],
        lambda x, y: float(x[0].mean() - y[0].mean()),
        resamples=resamples,
        seed=seed,
    )
    return Estimate(value, *((None, None) if between is None else map(float, between)))
