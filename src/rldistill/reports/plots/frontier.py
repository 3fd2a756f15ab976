"""What students of several sizes return: fraction of the teacher's return against each cost."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from rldistill.errors import ShapeError
from rldistill.reports.plots.style import (
    FONT,
    INK,
    Look,
    add_legend,
    drawn,
    new_figure,
    title_axes,
)
from rldistill.reports.svg import PALETTE

VERDICTS = {
    "holds": Look(PALETTE[0], "o", "-"),
    "unsure": Look(PALETTE[1], "s", "-"),
    "fails": Look(PALETTE[4], "X", "-"),
}
UNJUDGED = Look(PALETTE[2], "D", "-")


@drawn
def frontier_plot(
    points: Sequence[Mapping[str, Any]], costs: Mapping[str, str], floor: float
) -> Figure:
    """One panel per cost, students as points with the 95 % interval of their fraction.

    Args:
        points: each with name, fraction, fraction_low, fraction_high (None where there is no
            interval), verdict, and its costs by key; a cost of None is not drawn.
        costs: per key of a cost, the title of its axis with its unit; logarithmic.
        floor: drawn as a line.

    Raises:
        ShapeError: no point has a fraction and a cost above 0.

    >>> point = {"name": "a", "fraction": 1.0, "fraction_low": 0.9, "fraction_high": 1.1,
    ...          "verdict": "holds", "bytes": 100}
    >>> frontier_plot([point], {"bytes": "bytes"}, 0.95).axes[0].get_xlabel()
    'bytes'
    """
    shown = [point for point in points if point["fraction"] is not None]
    if not costs or not any(point.get(cost) for point in shown for cost in costs):
        raise ShapeError("frontier_plot needs points with a fraction and a cost above 0")
    figure = new_figure(height=3.3 * len(costs) + 0.3)
    panels = cast("list[Axes]", list(figure.subplots(len(costs), squeeze=False).flat))
    for axes, (cost, title) in zip(panels, costs.items(), strict=True):
        priced = [point for point in shown if point.get(cost)]
        _draw(axes, priced, cost)
        axes.axhline(floor, color=INK, lw=1.0, ls="--", label=f"floor {floor:g}")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_formatter("")
        title_axes(axes, title, "fraction of the teacher's return")
        axes.margins(x=0.12, y=0.15)
        if axes is panels[0]:
            add_legend(axes)
    return figure


def _draw(axes: Axes, points: Sequence[Mapping[str, Any]], cost: str) -> None:
    """Points by verdict; those that no other beats are joined and named."""
    for word in (*VERDICTS, None):
        look = UNJUDGED if word is None else VERDICTS[word]
        group = [point for point in points if point["verdict"] == word]
        for i, point in enumerate(group):
            low, high = point["fraction_low"], point["fraction_high"]
            error = None
            if low is not None and high is not None:
                middle = point["fraction"]
                error = [[max(middle - low, 0.0)], [max(high - middle, 0.0)]]
            axes.errorbar(
                point[cost], point["fraction"], yerr=error, color=look.colour, marker=look.marker,
                ms=6, lw=1.4, capsize=3, ls="none",
                label=(word or "no verdict") if i == 0 else None,
            )  # fmt: skip
    best = [p for p in points if not any(_beats(q, p, cost) for q in points)]
    best.sort(key=lambda point: point[cost])
    line = [(p[cost], p["fraction"]) for p in best]
    axes.plot(*zip(*line, strict=True), color=INK, lw=0.8, alpha=0.6, zorder=0)
    for place, point in enumerate(best):
        axes.annotate(
            point["name"].replace(" of the weights 0", " pruned"),
            (point[cost], point["fraction"]), (4, 9 if place % 2 == 0 else -14),
            textcoords="offset points", fontsize=FONT - 3, color=INK,
        )  # fmt: skip


def _beats(one: Mapping[str, Any], other: Mapping[str, Any], cost: str) -> bool:
    mine, theirs = (one[cost], -one["fraction"]), (other[cost], -other["fraction"])
    return mine != theirs and mine[0] <= theirs[0] and mine[1] <= theirs[1]
