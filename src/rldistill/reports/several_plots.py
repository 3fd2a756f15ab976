"""Plots of several runs, as plain functions that return matplotlib figures.

Each takes plain data and returns a figure whose axes are titled, with units; nothing is read here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from matplotlib.figure import Figure

from rldistill.maths.stats import FloatArray
from rldistill.reports.svg import DASHES, INK, MARKERS, PALETTE, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (5.6, 3.4)  # inches; letters have 10 points, so that a phone can show it whole


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


def overlaid_curves(lines: Sequence[Line], x_title: str, y_title: str) -> Figure:
    """Learning curves of several runs on one pair of axes.

    >>> at = np.array([1.0, 2.0])
    >>> overlaid_curves([Line(0, "a", at, at, at, at)], "steps", "return").axes[0].get_xlabel()
    'steps'
    """
    with drawing():
        figure, axes = _empty(x_title, y_title)
        for line in lines:
            style = line.group % len(PALETTE)
            axes.plot(
                line.x,
                line.y,
                color=PALETTE[style],
                linestyle=DASHES[style],
                marker=MARKERS[style],
                markersize=3.5,
                linewidth=1.2,
                label=line.label or None,
            )
            known = np.isfinite(line.low) & np.isfinite(line.high)
            axes.fill_between(
                line.x[known],
                line.low[known],
                line.high[known],
                color=PALETTE[style],
                alpha=0.15,
                linewidth=0,
            )
        _legend(figure, axes)
        return figure


def performance_profiles(
    thresholds: FloatArray,
    profiles: Mapping[str, FloatArray],
    bands: Mapping[str, tuple[FloatArray, FloatArray]],
    floor: float | None,
) -> Figure:
    """Share of runs above each score, one line per group; bands are pointwise intervals.

    Source: Agarwal et al. 2021 (arXiv:2108.13264), section 4.2.
    """
    with drawing():
        figure, axes = _empty("fraction of the teacher's return, τ", "share of runs above τ")
        for i, (name, profile) in enumerate(profiles.items()):
            colour = PALETTE[i % len(PALETTE)]
            dashes: Any = DASHES[i % len(DASHES)]
            axes.plot(
                thresholds,
                profile,
                color=colour,
                linestyle=dashes,
                drawstyle="steps-post",
                label=name,
            )
            if name in bands:
                low, high = bands[name]
                axes.fill_between(
                    thresholds, low, high, color=colour, alpha=0.15, linewidth=0, step="post"
                )
        if floor is not None and thresholds[0] <= floor <= thresholds[-1]:
            axes.axvline(floor, color=INK, linewidth=0.8, linestyle=":")
        axes.set_ylim(-0.03, 1.03)
        _legend(figure, axes)
        return figure


def forest(points: Sequence[Point], x_title: str, neutral: float | None) -> Figure:
    """One row per comparison: a point and its interval, and a line where nothing differs.

    Args:
        points: from the top down.
        x_title: with its unit.
        neutral: where the line is; None for none.
    """
    with drawing():
        figure = Figure(figsize=(SIZE[0], 1.0 + 0.34 * len(points)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x_title)
        rows = np.arange(len(points))[::-1]
        for row, point in zip(rows, points, strict=True):
            if point.low is not None and point.high is not None:
                axes.plot([point.low, point.high], [row, row], color=PALETTE[0], linewidth=2)
            axes.plot([point.value], [row], color=PALETTE[0], marker="o", linestyle="")
        axes.set_yticks(rows, [_short(point.label) for point in points])
        axes.set_ylabel("comparison" if neutral is not None else "group")
        axes.set_ylim(-0.6, len(points) - 0.4)
        axes.grid(visible=False, axis="y")
        if neutral is not None:
            axes.axvline(neutral, color=INK, linewidth=0.8, linestyle=":")
        return figure


def size_frontier(points: Sequence[Point], y_title: str) -> Figure:
    """Return against parameters, and the line of what no smaller group reaches.

    Args:
        points: one per group, x its parameters; means over seeds, so that luck makes no frontier.
        y_title: with its unit.
    """
    with drawing():
        figure, axes = _empty("parameters of the student", y_title)
        axes.set_xscale("log")
        for i, point in enumerate(points):
            colour, marker = PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]
            if point.low is not None and point.high is not None:
                axes.plot([point.x] * 2, [point.low, point.high], color=colour, linewidth=1.5)
            axes.plot(
                [point.x], [point.value], color=colour, marker=marker, linestyle="",
                label=_short(point.label),
            )  # fmt: skip
        best = frontier(points)
        axes.plot(
            [p.x for p in best], [p.value for p in best], color=INK, linewidth=0.8,
            linestyle=":", drawstyle="steps-post",
        )  # fmt: skip
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


def _empty(x_title: str, y_title: str) -> "tuple[Figure, Axes]":
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_title)
    axes.set_ylabel(y_title)
    return figure, axes


def _legend(figure: Figure, axes: "Axes") -> None:
    """Below the axes, where it hides nothing; none for a single line without a name."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(
            handles, [_short(text) for text in labels], loc="outside lower center", ncols=2
        )


def _short(text: str) -> str:
    return text if len(text) <= 34 else text[:33] + "…"
