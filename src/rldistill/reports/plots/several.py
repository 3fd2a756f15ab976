"""Plots of several runs, as plain functions that return matplotlib figures.

Each takes plain data and returns a figure whose axes are titled, with units; nothing is read here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from rldistill.maths.stats import FloatArray
from rldistill.reports.plots.style import FONT, Look, drawn, new_figure, title_axes
from rldistill.reports.svg import INK, MARKERS, PALETTE

LABEL = 34  # letters of a name in a figure
# Of groups: as many as can be told apart, in colour, marker and dashes.
GROUP_LOOKS = tuple(
    Look(colour, marker, line)
    for colour, marker, line in zip(PALETTE, MARKERS, ("-", "--", "-.") * 2, strict=True)
)


@final
@dataclass(frozen=True, slots=True)
class Line:
    """One learning curve.

    Attributes:
        group: which colour it has, from 0.
        label: in the legend; "" for none.
        x: [n], rising.
        y: [n].
        low, high: [n] ends of the interval; NaN where there is none.
    """

    group: int
    label: str
    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray


@final
@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval: what a row of a forest plot or a point of the frontier shows."""

    label: str
    value: float
    low: float | None
    high: float | None
    x: float = 0.0


@drawn
def overlaid_curves(lines: Sequence[Line], x_title: str, y_title: str) -> Figure:
    """Learning curves of several runs on one pair of axes.

    Args:
        lines: drawn in this order.
        x_title, y_title: with their units.

    >>> at = np.array([1.0, 2.0])
    >>> overlaid_curves([Line(0, "a", at, at, at, at)], "steps", "return").axes[0].get_xlabel()
    'steps'
    """
    figure, axes = _empty(x_title, y_title)
    for line in lines:
        look = look_of_group(line.group)
        (shown,) = axes.plot(line.x, line.y, look.line, label=line.label or None)
        shown.set(color=look.colour, marker=look.marker, markersize=3.5, linewidth=1.2)
        known = np.isfinite(line.low) & np.isfinite(line.high)
        band = line.x[known], line.low[known], line.high[known]
        axes.fill_between(*band, color=look.colour, alpha=0.15, lw=0)
    if max((float(line.x.max()) for line in lines), default=0.0) >= 1e4:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    _legend(figure, axes)
    return figure


@drawn
def performance_profiles(
    thresholds: FloatArray,
    profiles: Mapping[str, FloatArray],
    bands: Mapping[str, tuple[FloatArray, FloatArray]],
    floor: float | None,
) -> Figure:
    """Share of runs above each score, one line per group.

    Args:
        thresholds: [t], rising.
        profiles: [t] of each group, in [0, 1].
        bands: pointwise intervals of those that have them.
        floor: a score that is marked; None for none.

    Source: Agarwal et al. 2021 (arXiv:2108.13264), section 4.2.
    """
    figure, axes = _empty("fraction of the teacher's return, τ", "share of runs above τ")
    for i, (name, profile) in enumerate(profiles.items()):
        look = look_of_group(i)
        (line,) = axes.plot(thresholds, profile, look.line, label=name, drawstyle="steps-post")
        line.set(color=look.colour)
        if name in bands:
            band = axes.fill_between(thresholds, *bands[name], alpha=0.15, lw=0, step="post")
            band.set(color=look.colour)
    if floor is not None and thresholds[0] <= floor <= thresholds[-1]:
        axes.axvline(floor, color=INK, lw=0.8, ls=":")
    axes.set_ylim(-0.03, 1.03)
    _legend(figure, axes)
    return figure


@drawn
def forest(points: Sequence[Point], titles: tuple[str, str], neutral: float | None) -> Figure:
    """One row per comparison: a point and its interval, and a line where nothing differs.

    Args:
        points: from the top down.
        titles: of both axes, with their units.
        neutral: where the line is; None for none.
    """
    figure = new_figure(height=0.9 + 0.5 * len(points))
    axes = figure.add_subplot()
    colour = GROUP_LOOKS[0].colour
    for row, point in enumerate(points):
        if point.low is not None and point.high is not None:
            axes.plot([point.low, point.high], [row, row], color=colour, lw=2)
        axes.plot([point.value], [row], color=colour, marker="o", ls="")
    axes.set_yticks(range(len(points)), [short(point.label) for point in points])
    axes.set_ylim(len(points) - 0.4, -0.6)
    if neutral is not None:
        axes.axvline(neutral, color=INK, lw=0.8, ls=":")
        axes.set_xlim(min(-0.03, axes.get_xlim()[0]), max(2 * neutral + 0.03, axes.get_xlim()[1]))
    title_axes(axes, *titles)
    axes.grid(visible=False, axis="y")
    return figure


@drawn
def size_frontier(points: Sequence[Point], y_title: str) -> Figure:
    """Return against parameters, and the line of what no smaller group reaches.

    Args:
        points: one per group, x its parameters; means over seeds, so that luck makes no frontier.
        y_title: with its unit.
    """
    figure, axes = _empty("parameters of the student", y_title)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for i, point in enumerate(points):
        look = look_of_group(i)
        if point.low is not None and point.high is not None:
            axes.plot([point.x] * 2, [point.low, point.high], color=look.colour, lw=1.5)
        (dot,) = axes.plot([point.x], [point.value], look.marker, label=point.label)
        dot.set(color=look.colour)
    best = frontier(points)
    (line,) = axes.plot([p.x for p in best], [p.value for p in best], ":", lw=0.9)
    line.set(color=INK, drawstyle="steps-post")
    _legend(figure, axes)
    return figure


def frontier(points: Sequence[Point]) -> list[Point]:
    """Those points that return more than every smaller one, by size.

    >>> [p.x for p in frontier([Point("", 1, None, None, 10), Point("", 0, None, None, 20)])]
    [10]
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -p.value)):
        if not best or point.value > best[-1].value:
            best.append(point)
    return best


def look_of_group(place: int) -> Look:
    """How the group of this place is drawn; they repeat after six."""
    return GROUP_LOOKS[place % len(GROUP_LOOKS)]


def _empty(x_title: str, y_title: str) -> tuple[Figure, Axes]:
    figure = new_figure()
    axes = figure.add_subplot()
    title_axes(axes, x_title, y_title)
    return figure, axes


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(
            handles, [short(text) for text in labels], loc="outside lower left", ncols=2,
            frameon=False, fontsize=FONT - 1, labelcolor=INK,
        )  # fmt: skip


def short(text: str) -> str:
    """A name that fits into a figure: each of its lines is cut where it is long.

    >>> short("x" * 50)
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'
    """
    return "\n".join(
        line if len(line) <= LABEL else line[: LABEL - 1] + "…" for line in text.split("\n")
    )
