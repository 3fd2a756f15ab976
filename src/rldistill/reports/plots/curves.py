"""Curves against env steps, samples or seconds, with the intervals of what was estimated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import ArrayLike, NDArray

from rldistill.errors import ShapeError
from rldistill.reports.plots.style import add_legend, drawn, look_of, new_figure, title_axes

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True)
class Curve:
    """One line: values over x, and where they have one their interval.

    Attributes:
        name: in the legend.
        x: [n], n >= 1.
        values: [n]; NaN leaves a gap.
        low, high: [n] ends of the interval of each value; None: no interval is known.
    """

    name: str
    x: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None

    def __post_init__(self) -> None:
        given = (self.values, self.low, self.high)
        lengths = {len(part) for part in given if part is not None} | {len(self.x)}
        if len(lengths) > 1 or 0 in lengths or (self.low is None) != (self.high is None):
            raise ShapeError(
                f"curve {self.name!r} needs as many values as x, at least one, and both ends of an "
                f"interval or none; got lengths {sorted(lengths)}"
            )


@final
@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line to compare with, and its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@drawn
def curve_plot(
    curves: Sequence[Curve], x_title: str, y_title: str, levels: Sequence[Level] = ()
) -> Figure:
    """Curves with bands where there are intervals, over levels.

    Args:
        curves: at least one; a curve of a single point is that point.
        x_title, y_title: titles of the axes with their units, for example "training [env steps]".
        levels: what the curves are compared with, such as the teacher's return.

    Raises:
        ShapeError: no curve.

    >>> curve = Curve("student", [0.0, 1.0], [3.0, 4.0], [2.0, 3.5], [4.0, 4.5])
    >>> curve_plot([curve], "training [s]", "return [reward]").axes[0].get_ylabel()
    'return [reward]'
    """
    if not curves:
        raise ShapeError("curve_plot needs at least one curve")
    figure = new_figure()
    axes = figure.add_subplot()
    for place, level in enumerate(levels):
        look = look_of(level.name, place)
        if level.low is not None and level.high is not None:
            axes.axhspan(level.low, level.high, color=look.colour, alpha=0.15, lw=0)
        axes.axhline(level.value, color=look.colour, ls=look.line, lw=1.5, label=level.name)
    for place, curve in enumerate(curves):
        look = look_of(curve.name, place)
        x = np.asarray(curve.x, np.float64)
        mark = look.marker if len(x) <= 60 else ""
        (line,) = axes.plot(x, np.asarray(curve.values, np.float64), look.line, label=curve.name)
        line.set(color=look.colour, marker=mark, markersize=4.0, linewidth=1.8)
        if curve.low is not None and curve.high is not None:
            _draw_interval(axes, x, curve.low, curve.high, look.colour)
    # From nothing learnt, so that a run which was looked at once has room around its point.
    every = [x for curve in curves for x in curve.x]
    axes.set_xlim(min(0.0, *every), 1.04 * max(every) or 1.0)
    title_axes(axes, x_title, y_title)
    if max(every) >= 10_000:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    add_legend(axes)
    return figure


def _draw_interval(axes: Axes, x: Array, low: ArrayLike, high: ArrayLike, colour: str) -> None:
    ends = np.asarray(low, np.float64), np.asarray(high, np.float64)
    axes.vlines(x, *ends, color=colour, lw=1.2, alpha=0.8)
    if len(x) > 1:
        axes.fill_between(x, *ends, color=colour, alpha=0.18, lw=0)
