"""The claims of the paper's experiments, each with a rule: in which range must which interval lie.

A claim holds where all of its intervals lie inside their ranges, does not hold where one of them
lies outside, and cannot be told otherwise. Differences are paired over worlds. Ranges were set
from the paper's figures (read to about 0.1) and are part of the claim as it is tested here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from czarnecki2019_intervals import (
    NOT_RUN,
    FloatArray,
    Interval,
    NotRunError,
    Results,
    first_crossing,
    judge,
    mean_interval,
    number,
    ratio_interval,
    together,
)
from czarnecki2019_panels import panel_of

INFINITE = float("inf")
EARLY = (30, 100, 300, 1000, 2000, 3000)
ALL = (*EARLY, 5000, 10_000, 20_000, 30_000)
END = (30_000,)
# As good as: not more than this share of the way from the uniform policy to the teacher below it.
SLACK = 0.05

Quantity = Callable[[Results], Interval]
TEACHER = "teacher's return"
CurveMaker = Callable[..., "Curve"]


@dataclass(frozen=True)
class Curve:
    """Where a curve is kept; arm TEACHER is the return of the panel's teacher."""

    figure: int
    panel: str
    arm: str
    measure: str = "returns"


@dataclass(frozen=True)
class Test:
    """An interval and the range in which it must lie."""

    what: str
    quantity: Quantity
    low: float = -INFINITE
    high: float = INFINITE

    @property
    def asked(self) -> str:
        """The range in words."""
        if self.low == -INFINITE:
            return f"below {number(self.high)}"
        if self.high == INFINITE:
            return f"above {number(self.low)}"
        return f"in {number(self.low)} to {number(self.high)}"

    def run(self, results: Results) -> tuple[str, str]:
        """The word, and the evidence in words."""
        try:
            found = self.quantity(results)
        except NotRunError:
            return NOT_RUN, f"{self.what}: not run"
        worlds = f", n = {found.count}" if found.count > 1 else ""
        return judge(found, self.low, self.high), f"{self.what}: {found}{worlds} ({self.asked})"


@dataclass(frozen=True)
class Claim:
    """What the paper's figure says, and the tests that decide."""

    figure: int
    text: str
    tests: tuple[Test, ...]

    def run(self, results: Results) -> tuple[str, list[tuple[str, str]]]:
        """The word of the claim, then the word and evidence of each test."""
        parts = [test.run(results) for test in self.tests]
        return together([word for word, _ in parts]), parts


def at(curve: Curve, points: tuple[int, ...], results: Results) -> FloatArray:
    """[N] mean over the checkpoints of one number per world."""
    figure, panel = curve.figure, curve.panel
    if curve.arm == TEACHER:
        # Every method's cell holds it.
        first = panel_of(figure, panel).arms[0]
        return results.curves(figure, panel, first, "teacher")[:, 0]
    columns = results.columns(figure, panel, curve.arm, points)
    return results.curves(figure, panel, curve.arm, curve.measure)[:, columns].mean(axis=1)


def level(curve: Curve, points: tuple[int, ...] = END) -> Quantity:
    """The mean itself."""
    return lambda results: mean_interval(at(curve, points, results))


def difference(first: Curve, second: Curve, points: tuple[int, ...] = END) -> Quantity:
    """Mean of first - second, world by world."""

    def quantity(results: Results) -> Interval:
        ours, theirs = at(first, points, results), at(second, points, results)
        count = min(len(ours), len(theirs))
        return mean_interval(ours[:count] - theirs[:count])

    return quantity


def growth(curve: Curve, point: int) -> Quantity:
    """Mean of the end of a curve minus what it was at a checkpoint; 0 is the uniform policy."""

    def quantity(results: Results) -> Interval:
        return mean_interval(at(curve, END, results) - at(curve, (point,), results))

    return quantity


def difference_of_differences(
    first: tuple[Curve, Curve], second: tuple[Curve, Curve], points: tuple[int, ...]
) -> Quantity:
    """Mean of (first[0] - first[1]) - (second[0] - second[1]), world by world."""

    def quantity(results: Results) -> Interval:
        columns = [at(curve, points, results) for curve in (*first, *second)]
        count = min(len(column) for column in columns)
        one, two, three, four = (column[:count] for column in columns)
        return mean_interval((one - two) - (three - four))

    return quantity


def share(curve: Curve, goal: Curve, start: Curve, points: tuple[int, ...] = END) -> Quantity:
    """(curve - goal) / (mean goal - mean start): 0 as good as the goal, -1 as the undecided one.

    The denominator is taken for known: the interval is that of the paired difference.
    """

    def quantity(results: Results) -> Interval:
        ours, theirs = at(curve, points, results), at(goal, points, results)
        lowest = at(start, (0,), results)
        count = min(len(ours), len(theirs), len(lowest))
        gap = float((theirs[:count] - lowest[:count]).mean())
        return mean_interval((ours[:count] - theirs[:count]) / gap)

    return quantity


def times_slower(slow: Curve, fast: Curve, reached_share: float) -> Quantity:
    """Iterations until the mean curve of slow has gone this share of its way, over those of fast.

    The way of a KL leads from its start to 0, that of a return from its start to the teacher's.
    """

    def quantity(results: Results) -> Interval:
        pair = [results.curves(c.figure, c.panel, c.arm, c.measure) for c in (slow, fast)]
        goals = np.zeros(len(pair[0]))
        if slow.measure == "returns":
            goals = results.curves(slow.figure, slow.panel, slow.arm, "teacher")[:, 0]
        count = min(len(table) for table in pair)
        points = results.points(slow.figure, slow.panel, slow.arm)
        # What is left of the way, 1 at the start: [N, C + 1], with the goal in the last column.
        tables = [np.column_stack([table[:count], goals[:count]]) for table in pair]

        def reached(mean: FloatArray) -> float:
            left = (mean[:-1] - mean[-1]) / (mean[0] - mean[-1])
            return first_crossing(left, points, 1 - reached_share)

        return ratio_interval(tables[0], tables[1], reached, points[-1])

    return quantity


def fall_from_peak(curve: Curve) -> Quantity:
    """Return at the peak minus return at the end.

    Where the peak is, is decided by the worlds of even number, how high it is by the others.
    """

    def quantity(results: Results) -> Interval:
        table = results.curves(curve.figure, curve.panel, curve.arm)
        results.columns(curve.figure, curve.panel, curve.arm, END)
        peak = int(table[::2].mean(axis=0).argmax())
        return mean_interval(table[1::2, peak] - table[1::2, -1])

    return quantity


def below(what: str, first: Curve, second: Curve, points: tuple[int, ...] = END) -> Test:
    """first < second."""
    return Test(what, difference(first, second, points), high=0.0)


def above(what: str, first: Curve, second: Curve, points: tuple[int, ...] = END) -> Test:
    """first > second."""
    return Test(what, difference(first, second, points), low=0.0)


def run_claims(
    claims: list[Claim], results: Results
) -> list[tuple[Claim, str, list[tuple[str, str]]]]:
    """Every claim with its word and its evidence."""
    return [(claim, *claim.run(results)) for claim in claims]


def as_good_as_teacher(curve: CurveMaker, arm: str, points: tuple[int, ...] = END) -> Test:
    """A student is as good as the panel's teacher, but for SLACK."""
    ours = curve(arm)
    found = share(ours, curve(TEACHER), ours, points)
    return Test(f"{ours.panel}, {arm}: share of the way missing", found, low=-SLACK)
