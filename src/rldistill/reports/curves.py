"""Learning curves of several runs: what their tests of the student showed while it learnt."""

from collections.abc import Sequence

import numpy as np

from rldistill.maths.stats import FloatArray
from rldistill.reports.groups import group_runs
from rldistill.reports.plots.several import Line, overlaid_curves
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Chart, Column, Section, Table

MOST_RUNS = 60  # drawn
MOST_POINTS = 200  # of one curve
NAMED_RUNS = 12  # up to so many the legend names each
X_AXES = {
    "env_steps": ("environment steps of training", "env steps"),
    "samples": ("samples learnt from, repeats counted", "samples"),
    "train_seconds": ("seconds of collecting and learning", "s"),
}


def curves_section(runs: Sequence[RunRecord]) -> Section | None:
    """Curves overlaid, against env steps, samples and seconds; None where no run was tested.

    Runs of one task are drawn by their return, runs of several by their fraction.
    """
    one_task = len({run.task for run in runs}) == 1
    key = "student_return" if one_task else "fraction"
    tested = [run for run in runs if any(key in point for point in looks(run))]
    if not tested:
        return None
    # Evenly from all, so that the drawn ones are not the oldest.
    picks = np.linspace(0, len(tested) - 1, min(len(tested), MOST_RUNS)).round().astype(int)
    drawn = [tested[i] for i in picks]
    words = [
        "What each test of the student during training showed. "
        + (
            "Bands are 95 % bootstrap intervals over the episodes of a test."
            if one_task
            else "The runs are of different tasks, so fractions of the teacher's return are shown."
        )
    ]
    if len(drawn) < len(tested):
        words.append(f"{len(drawn)} of {len(runs):,} runs are drawn, spread evenly.")
    charts = tuple(
        chart for x in X_AXES if (chart := curve_chart(drawn, x, key, one_task)) is not None
    )
    return Section("Learning curves", tuple(words), charts=charts)


def looks(run: RunRecord) -> list[dict[str, float]]:
    """The points of its curve at which the student was tested, at most 200 of them."""
    found = [dict(point) for point in run.curve if point.get("episodes", 0) > 0]
    picks = np.linspace(0, len(found) - 1, min(len(found), MOST_POINTS)).round().astype(int)
    return [found[i] for i in picks]


def curve_chart(runs: Sequence[RunRecord], x: str, key: str, one_task: bool) -> Chart | None:
    """All curves against one axis."""
    y_title = "return, reward per episode" if one_task else "fraction of the teacher's return"
    groups = group_runs(runs)
    lines: list[Line] = []
    rows: list[tuple[str, float, float]] = []
    for i, group in enumerate(groups):
        for j, run in enumerate(group.runs):
            points = [point for point in looks(run) if x in point and key in point]
            if not points:
                continue
            named = len(runs) <= NAMED_RUNS
            label = run.name if named else group.name if j == 0 and i < NAMED_RUNS else ""
            low, high = (
                column(points, end if one_task else "-") for end in ("return_low", "return_high")
            )
            lines.append(Line(i, label, column(points, x), column(points, key), low, high))
            rows += [(run.name, point[x], point[key]) for point in points]
    if not lines:
        return None
    x_title, unit = X_AXES[x]
    ends = "; ".join(f"{line.label} ends at {line.y[-1]:.4g}" for line in lines[:6] if line.label)
    return Chart(
        figure=overlaid_curves(lines, x_title, y_title),
        title=f"By {x_title.split(' of ')[0]}",
        alt=f"{len(lines)} curves of {y_title} against {x_title}. {ends}.",
        caption="",
        data=Table((Column("run"), Column(x_title, unit), Column(y_title)), tuple(rows)),
    )


def column(points: Sequence[dict[str, float]], key: str) -> FloatArray:
    """One value of every point, NaN where it has none."""
    return np.array([point.get(key, np.nan) for point in points])
