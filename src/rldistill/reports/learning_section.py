"""How a run went: returns, agreement and loss against env steps, samples and seconds."""

import math
from collections.abc import Mapping, Sequence
from typing import final

from rldistill.evaluation.evidence import RANDOM, STUDENT, TEACHER, RunEvidence
from rldistill.maths.stats import Estimate, estimate
from rldistill.reports.plots import Curve, Level, curve_plot
from rldistill.reports.plots.returns import REWARD
from rldistill.reports.plots.style import axis_title
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Cell, Chart, Column, Section, Table

Point = Mapping[str, float]
# What training is counted in: the key of a record, what it is called and its unit.
CLOCKS = (
    ("env_steps", "training", "env steps"),
    ("rows", "training", "rows of the dataset"),
    ("samples", "states learnt from, repeats counted", "samples"),
    ("train_seconds", "training, without tests", "s"),
)
CALLED = {"s": "seconds", "rows of the dataset": "rows"}
MOST_POINTS = 400  # of one curve: more are thinned out evenly


def learning_section(record: RunRecord, evidence: RunEvidence | None) -> Section:
    """Learning curves of one run; without any record it says so."""
    rounds = [point for point in record.curve if point.get("loss") is not None]
    looks = [point for point in record.curve if point.get("episodes", 0.0) > 0.0]
    if not rounds and not looks:
        return Section("Learning", ("Nothing was recorded while it learnt.",))
    charts: list[Chart] = []
    for key, name, unit in CLOCKS:
        if looks and _moves(looks, key):
            charts.append(_returns(looks, (key, name, unit), evidence))
    clock = next((c for c in CLOCKS if _moves(rounds, c[0])), None)
    if clock is not None:
        charts += _per_round(rounds, clock)
    words = (
        f"{len(rounds)} rounds of collecting and learning, {len(looks)} looks at the student.",
        *(() if looks else ("The student was not played while it learnt: no return is known.",)),
    )
    return Section("Learning", words, tuple(charts))


def _moves(points: Sequence[Point], key: str) -> bool:
    return any(point.get(key, 0.0) > 0.0 for point in points)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most so many of the points, evenly, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def _returns(
    looks: Sequence[Point], clock: tuple[str, str, str], evidence: RunEvidence | None
) -> Chart:
    key, name, unit = clock
    points = thinned([p for p in looks if {key, "student_return"} <= p.keys()])
    final_return = None if evidence is None else estimate(evidence.episodes.returns[STUDENT])
    rows: list[tuple[Cell, ...]] = [
        ("look", p[key], p["student_return"], p.get("return_low"), p.get("return_high"),
         int(p["episodes"]))
        for p in points
    ]  # fmt: skip
    if final_return is not None and evidence is not None:
        count = len(evidence.episodes.seeds)
        rows.append(
            ("measured at the end", max(p[key] for p in points), final_return.value,
             final_return.low, final_return.high, count)
        )  # fmt: skip
    columns = (
        Column("what"), Column(name, unit), Column("student's mean return", REWARD),
        Column("95 % low", REWARD), Column("95 % high", REWARD), Column("episodes"),
    )  # fmt: skip
    x, values, low, high = (
        [math.nan if row[i] is None else float(row[i] or 0.0) for row in rows] for i in range(1, 5)
    )
    curve = Curve("student", x, values, low, high)
    last = values[-1]
    return Chart(
        figure=curve_plot([curve], axis_title(name, unit), axis_title("return", REWARD),
                          _levels(evidence)),
        title=f"Return against {CALLED.get(unit, unit)}",
        alt=f"The student's mean return at {len(rows)} looks; the last is {last:.4g} at "
        f"{x[-1]:,.4g} {unit}.",
        caption="Mean return at each look with its 95 % percentile bootstrap interval; looks at "
        "one candidate add up their episodes. The last point, where there is evidence, is "
        "measured on fresh episodes.",
        data=Table(columns, tuple(rows)),
    )  # fmt: skip


def _levels(evidence: RunEvidence | None) -> list[Level]:
    if evidence is None:
        return []
    levels: list[Level] = []
    for name, row in (("teacher", TEACHER), ("random policy", RANDOM)):
        mean: Estimate = estimate(evidence.episodes.returns[row])
        levels.append(Level(name, mean.value, mean.low, mean.high))
    return levels


@final
class _Measure:
    """Something that is recorded of every round."""

    def __init__(self, key: str, title: str, axis: str, caption: str) -> None:
        self.key, self.title, self.axis, self.caption = key, title, axis, caption


MEASURES = (
    _Measure(
        "agreement",
        "Agreement over time",
        "same choice [share of states]",
        "Share of the states of each round in which student and teacher chose alike, before the "
        "student learnt from them. States of one episode are alike, so no interval is drawn.",
    ),
    _Measure(
        "loss",
        "Loss over time",
        "loss [nats for divergences]",
        "Mean over the updates of each round.",
    ),
)


def _per_round(rounds: Sequence[Point], clock: tuple[str, str, str]) -> list[Chart]:
    key, name, unit = clock
    charts: list[Chart] = []
    for measure in MEASURES:
        points = thinned([p for p in rounds if {key, measure.key} <= p.keys()])
        if not points:
            continue
        x, values = ([p[k] for p in points] for k in (key, measure.key))
        charts.append(
            Chart(
                figure=curve_plot(
                    [Curve("student", x, values)], axis_title(name, unit), measure.axis
                ),
                title=measure.title,
                alt=f"{measure.title}: from {values[0]:.4g} to {values[-1]:.4g} at "
                f"{x[-1]:,.4g} {unit}.",
                caption=measure.caption,
                data=Table(
                    (Column(name, unit), Column(measure.key)), tuple(zip(x, values, strict=True))
                ),
            )
        )
    return charts
