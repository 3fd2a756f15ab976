"""A test by betting on whether a student keeps a fraction of its teacher's return.

The contrast of a student S, its teacher T and a random policy R at fraction f is
d = E[S] - f E[T] - (1 - f) E[R]: d >= 0 says (S - R) / (T - R) >= f without a division.

The test assumes no normality. It bets on d > 0 at odds that are fair if d = 0, and what the bets
have won is the evidence: a fair game multiplies its stake by 20 with probability at most 1/20,
however often one looks (Ville's inequality). The odds need the range of the returns, which is taken
from the data: the student and the teacher may do whatever was seen in any of the three samples,
the random policy whatever was seen of it. A disaster deeper than all of that is not covered.

Source: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"
(arXiv:2010.09686), section 4. Taking the range from the data and the weights of the bets are ours.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from rldistill.maths.stats import FloatArray

# Share of the stake put at risk on each episode, and the part of the first stake behind each. Most
# of it goes to the full bet: it alone can settle 64 perfect episodes at a floor of 0.95
# (0.95^64 = 0.0375), and since the range is wide against the spread of most returns it is near the
# best bet for them too. The rest is for noisy returns, where a full bet goes broke.
BETS = np.array([1.0, 0.5, 0.25, 0.125, 0.0625])
WEIGHTS = np.array([0.88, 0.03, 0.05, 0.025, 0.015])

HOPELESS = 100_000  # episodes; a test that needs more is not worth a promise


@final
@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """One number per episode whose mean is d, and how far it can go.

    Attributes:
        values: [n], Z_i = S_i - f T_i - (1 - f) R_i.
        depth: >= 0; no value lies below -depth while returns stay in the range seen.
        height: >= 0; no value lies above it.
    """

    values: FloatArray
    depth: float
    height: float


def contrast(
    student: FloatArray, teacher: FloatArray, random: FloatArray, floor: float
) -> Contrast:
    """Z_i = S_i - f T_i - (1 - f) R_i and its range, f = floor.

    Episodes are matched by index. Of samples of unequal length the shortest sets n, and the others
    give each i the mean of a block: blocks are independent, with the same mean and range.
    With L and U the lowest and highest return of all samples, L_R and U_R of the random policy:
    depth = f U + (1 - f) U_R - L and height = U - f L - (1 - f) L_R.

    Args:
        student, teacher, random: [n], [m], [k], from sample_of.
        floor: f in (0, 1].

    Source: docs/verdict.md; the range is taken from the data, which is ours.

    >>> contrast(np.array([9.0]), np.array([10.0]), np.array([0.0]), 0.5).values
    array([4.])
    """
    count = min(student.size, teacher.size, random.size)
    lowest = min(student.min(), teacher.min(), random.min())
    # d does not change when a number is added to all returns; counted from the lowest, equal
    # returns give exact zeros instead of rounding errors to bet on.
    student, teacher, random = student - lowest, teacher - lowest, random - lowest
    highest = max(student.max(), teacher.max(), random.max())
    s, t, r = (_block_means(sample, count) for sample in (student, teacher, random))
    return Contrast(
        values=s - floor * t - (1 - floor) * r,
        depth=float(floor * highest + (1 - floor) * random.max()),
        height=float(highest - (1 - floor) * random.min()),
    )


def log_wealth(values: FloatArray, bound: float) -> float:
    """Log of what a stake of 1 has become by betting that the mean is above 0.

    W = sum_k w_k prod_i (1 + b_k Z_i / bound) over BETS b_k and WEIGHTS w_k. If E[Z] <= 0 and
    Z >= -bound, then P(W >= 1 / alpha at any time) <= alpha (Ville's inequality). To bet that the
    mean is below 0, give -values and their bound.

    Args:
        values: [n], independent, each >= -bound.
        bound: >= 0; 0 says that all values are 0, on which nothing can be won.

    Returns:
        log W in nats; -inf where nothing is left.

    Source: Waudby-Smith and Ramdas 2024 (arXiv:2010.09686), section 4; the weights are ours.

    >>> round(math.exp(log_wealth(np.full(64, 0.0508), 1.0)), 1)
    21.3
    """
    growth = _log_growth(values, bound) + np.log(WEIGHTS)
    return float(np.logaddexp.reduce(growth))


def episodes_to_settle(values: FloatArray, bound: float, level: float) -> int | None:
    """Estimate how many episodes the bet of log_wealth needs in all to reach 1 / level.

    n = (log(1 / level) + regret) / g, with g the growth per episode of the best of BETS so far and
    regret = n_now g - log W_now, what it cost not to have known which bet is best.

    Returns:
        Episodes of each policy, those in values included; None where the best bet loses or needs
        more than 100,000.

    Source: ours: the growth of a bet is its mean logarithm, here as seen so far.

    >>> episodes_to_settle(np.full(10, 0.1), 1.0, 0.05)
    33
    """
    total = float(_log_growth(values, bound).max())
    if not total > 0:
        return None
    needed = (total - log_wealth(values, bound) - math.log(level)) / (total / values.size)
    return math.ceil(needed) if needed <= HOPELESS else None


def _log_growth(values: FloatArray, bound: float) -> FloatArray:
    """sum_i log(1 + b_k Z_i / bound) for each of BETS [K]."""
    if bound <= 0:
        return np.zeros_like(BETS)
    shares = np.maximum(values / bound, -1.0)  # -1 is the most one can lose; less is rounding
    with np.errstate(divide="ignore"):  # log 0 = -inf: that bet is broke
        return np.log1p(BETS[:, None] * shares).sum(-1)


def _block_means(values: FloatArray, count: int) -> FloatArray:
    """[n] -> [count] means of consecutive blocks whose sizes differ by at most one."""
    if values.size == count:
        return values
    edges = np.arange(count + 1) * values.size // count
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)
