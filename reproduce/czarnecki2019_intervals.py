"""Intervals over worlds, and the one rule that turns an interval into a word."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 2000
HOLDS, FAILS, UNSURE, NOT_RUN = "holds", "does not hold", "cannot tell", "not run"


class NotRunError(Exception):
    """What is asked for has not been measured."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, over so many worlds."""

    estimate: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{number(self.estimate)} [{number(self.low)}, {number(self.high)}]"


def number(value: float) -> str:
    """Three significant digits, for people.

    >>> number(0.123456), number(-2e-13), number(float("inf")), number(12345.6)
    ('0.123', '-2e-13', 'inf', '12,300')
    """
    if math.isfinite(value) and abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def exactly(value: float) -> Interval:
    """What is computed and not sampled."""
    return Interval(value, value, value, 1)


def mean_interval(values: FloatArray) -> Interval:
    """Mean of one number per world, with Student's t.

    Raises:
        NotRunError: fewer than two worlds.

    >>> mean_interval(np.array([1.0, 2.0, 3.0]))
    Interval(estimate=2.0, low=-0.484..., high=4.484..., count=3)
    """
    if values.size < 2:
        raise NotRunError
    reach = stats.t.ppf(0.5 + LEVEL / 2, values.size - 1) * stats.sem(values)
    mean = float(values.mean())
    return Interval(mean, mean - float(reach), mean + float(reach), values.size)


def judge(interval: Interval, low: float, high: float) -> str:
    """Holds where the whole interval lies between low and high; does not where none of it does.

    A difference of exactly 0 in every world is not above 0.

    >>> judge(Interval(-1.0, -2.0, -0.5, 9), -np.inf, 0.0)
    'holds'
    """
    above = low == -math.inf or low < interval.low
    if above and (high == math.inf or interval.high < high):
        return HOLDS
    if interval.high <= low or interval.low >= high:
        return FAILS
    return UNSURE


def together(words: list[str]) -> str:
    """All must hold; one that does not is enough against.

    >>> together(["holds", "cannot tell"]), together(["cannot tell", "does not hold"])
    ('cannot tell', 'does not hold')
    """
    for word in (FAILS, NOT_RUN, UNSURE):
        if word in words:
            return word
    return HOLDS


def ratio_interval(
    slow: FloatArray, fast: FloatArray, reached: Callable[[FloatArray], float], horizon: float
) -> Interval:
    """reached(mean slow curve) / reached(mean fast curve), resampling worlds with their pairs.

    Where slow has not arrived at the horizon the ratio is at least horizon / fast and may be
    anything above: the interval then reaches from the one to infinity.

    Args:
        slow: [N, ...] one entry per world.
        fast: [N, ...] the same worlds.
        reached: from a mean over worlds to a number of iterations, inf for never.
        horizon: iterations that were run.
    """
    count = len(slow)
    if count < 2:
        raise NotRunError
    rng = np.random.default_rng(0)

    def ratio(chosen: NDArray[np.int64]) -> tuple[float, float]:
        theirs, ours = (reached(curves[chosen].mean(axis=0)) for curves in (fast, slow))
        if math.isfinite(theirs):
            return min(ours, horizon) / theirs, ours / theirs
        # Where the fast one never arrives, at most an upper bound is known.
        return 0.0, ours / horizon

    drawn = np.array([ratio(rng.integers(count, size=count)) for _ in range(RESAMPLES)])
    low = float(np.quantile(drawn[:, 0], (1 - LEVEL) / 2, method="lower"))
    high = float(np.quantile(drawn[:, 1], (1 + LEVEL) / 2, method="higher"))
    return Interval(ratio(np.arange(count))[1], low, high, count)


def first_crossing(curve: FloatArray, points: tuple[int, ...], level: float) -> float:
    """After how many iterations a curve first comes down to a level; linear in log(1 + points).

    >>> round(first_crossing(np.array([2.0, 1.0, 0.0]), (0, 9, 99), 0.5), 1)
    30.6
    """
    below = np.flatnonzero(curve <= level)
    if not below.size:
        return math.inf
    place = int(below[0])
    if place == 0:
        return float(points[0])
    share = (curve[place - 1] - level) / (curve[place - 1] - curve[place])
    before, after = math.log1p(points[place - 1]), math.log1p(points[place])
    return math.expm1(before + share * (after - before))


@dataclass(frozen=True)
class Results:
    """What the cells of a folder hold."""

    folder: Path

    def record(self, figure: int, panel: str, arm: str) -> dict[str, Any]:
        """One cell.

        Raises:
            NotRunError: there is none.
        """
        path = self.folder / f"figure{figure}" / f"{panel}.{arm}.json"
        if not path.exists():
            raise NotRunError
        return read(path, path.stat().st_mtime_ns)

    def points(self, figure: int, panel: str, arm: str) -> tuple[int, ...]:
        """Its checkpoints."""
        return tuple(self.record(figure, panel, arm)["made_with"]["checkpoints"])

    def curves(self, figure: int, panel: str, arm: str, measure: str = "returns") -> FloatArray:
        """[N, C]; of "teacher" the same number at every checkpoint."""
        record = self.record(figure, panel, arm)
        table = np.array(record["returns" if measure == "teacher" else measure], dtype=float)
        if measure == "teacher":
            return np.repeat(np.array(record["teacher"])[:, None], table.shape[1], axis=1)
        return table

    def columns(self, figure: int, panel: str, arm: str, points: tuple[int, ...]) -> list[int]:
        """Where these checkpoints stand.

        Raises:
            NotRunError: one has not been reached.
        """
        there = self.points(figure, panel, arm)
        if any(point not in there for point in points):
            raise NotRunError
        return [there.index(point) for point in points]


@cache
def read(path: Path, changed: int) -> dict[str, Any]:
    """A cell, parsed once per change."""
    del changed
    return json.loads(path.read_text())
