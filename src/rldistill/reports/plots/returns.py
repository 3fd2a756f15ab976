"""Returns of policies side by side, and their differences episode by episode."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from rldistill.errors import ShapeError
from rldistill.maths.stats import Estimate, estimate, sample_of
from rldistill.reports.plots.style import (
    INK,
    add_legend,
    axis_title,
    drawn,
    look_of,
    new_figure,
    title_axes,
)
from rldistill.reports.svg import PALETTE

REWARD = "reward per episode"


@drawn
def returns_plot(samples: Mapping[str, ArrayLike], unit: str = REWARD) -> Figure:
    """Every episode's return as a point, the quartiles as a box, the mean with its 95 % interval.

    Args:
        samples: per policy [n] returns, n >= 1; "student", "teacher" and "random policy" have
            colours of their own.
        unit: of the returns.

    Raises:
        ShapeError: there is no sample, or an empty one.
        NotFiniteError: a return is NaN or infinite.

    Source: of the interval, Efron and Tibshirani 1993, section 13.3.

    >>> returns_plot({"student": [1.0, 2.0]}).axes[0].get_xlabel()
    'return [reward per episode]'
    """
    if not samples:
        raise ShapeError("returns_plot needs the returns of at least one policy")
    figure = new_figure(height=0.9 + 0.85 * len(samples))
    axes = figure.add_subplot()
    spread = np.random.default_rng(0)
    for row, (name, values) in enumerate(samples.items()):
        sample, look = sample_of(values, f"returns of {name}"), look_of(name, row)
        heights = row + spread.uniform(0.06, 0.36, sample.size)
        axes.scatter(sample, heights, s=9, color=look.colour, marker=look.marker, alpha=0.45, lw=0)
        axes.boxplot(
            sample,
            positions=[row - 0.16],
            widths=0.2,
            orientation="horizontal",
            showfliers=False,
            manage_ticks=False,
            boxprops={"color": look.colour},
            whiskerprops={"color": look.colour},
            capprops={"color": look.colour},
            medianprops={"color": look.colour},
        )
        mean = estimate(sample)
        low, high = (mean.value if end is None else end for end in (mean.low, mean.high))
        axes.plot([low, high], [row - 0.38] * 2, color=INK, lw=3, solid_capstyle="butt")
        axes.plot(mean.value, row - 0.38, "D", color=INK, ms=5)
    axes.set_yticks(range(len(samples)), list(samples))
    axes.set_ylim(len(samples) - 0.5, -0.6)
    title_axes(axes, axis_title("return", unit), "policy")
    return figure


@drawn
def paired_plot(differences: ArrayLike, mean: Estimate | None = None, unit: str = REWARD) -> Figure:
    """Student minus teacher from equal starts: one point per start, from worst to best.

    Args:
        differences: [n] returns of the student minus those of the teacher, n >= 1.
        mean: their mean and its interval; None: computed here, at 95 %.
        unit: of the differences.

    Raises:
        ShapeError, NotFiniteError: no differences, or no finite numbers.
    """
    sample = sample_of(differences, "differences")
    mean = estimate(sample) if mean is None else mean
    figure = new_figure()
    axes = figure.add_subplot()
    look = look_of("student")
    ranks = np.arange(1, sample.size + 1)
    axes.axhline(0.0, color=INK, lw=1.0)
    axes.vlines(ranks, 0.0, np.sort(sample), color=look.colour, lw=1.0, alpha=0.6)
    axes.plot(ranks, np.sort(sample), look.marker, color=look.colour, ms=3.5, label="one start")
    if mean.low is not None and mean.high is not None:
        band = (mean.low, mean.high)
        axes.axhspan(*band, color=PALETTE[2], alpha=0.3, lw=0, label="95 % interval of the mean")
    axes.axhline(mean.value, color=PALETTE[2], ls="--", lw=1.5, label="mean")
    title_axes(
        axes,
        axis_title("starts, from the worst to the best difference", "rank"),
        axis_title("difference", unit),
    )
    add_legend(axes)
    return figure
