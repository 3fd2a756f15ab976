"""Agreement of two policies by region: along one number of a state, or over two directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from rldistill.errors import ShapeError
from rldistill.maths.stats import Estimate
from rldistill.reports.plots.style import FONT, INK, ROOM, drawn, look_of, new_figure, title_axes

GRID_CELLS = 10
AGREEMENT = "same choice [share of states]"


@final
@dataclass(frozen=True, slots=True)
class Region:
    """A range of one number, or one value of it, and how often the policies agree there.

    Attributes:
        low, high: ends of the range; equal for one value.
        agreement: mean share of states in which both choose alike, with its interval.
        states: how many states lie there.
    """

    low: float
    high: float
    agreement: Estimate
    states: int


@drawn
def regions_plot(regions: Sequence[Region], feature: str) -> Figure:
    """Agreement in ranges of one number: a bar over each range, a line for its interval.

    Args:
        regions: at least one.
        feature: title of the number, with its unit.

    Raises:
        ShapeError: there is no region.
    """
    if not regions:
        raise ShapeError("regions_plot needs at least one region")
    figure = new_figure()
    axes = figure.add_subplot()
    look = look_of("student")
    for region in regions:
        mean, middle = region.agreement, (region.low + region.high) / 2
        axes.plot([region.low, region.high], [mean.value] * 2, color=look.colour, lw=3)
        if mean.low is not None and mean.high is not None:
            axes.plot([middle] * 2, [mean.low, mean.high], color=look.colour, lw=1.3)
        axes.plot(middle, mean.value, look.marker, color=look.colour, ms=5)
    if all(region.low == region.high for region in regions):
        axes.set_xticks([region.low for region in regions])
        axes.margins(x=0.3)
    axes.set_ylim(-0.03, 1.03)
    title_axes(axes, feature, AGREEMENT)
    return figure


@drawn
def map_plot(
    points: NDArray[Any], same: ArrayLike, titles: tuple[str, str], cells: int = GRID_CELLS
) -> Figure:
    """Agreement over two directions: the mean in each cell of a grid; empty cells stay empty.

    Args:
        points: [N, 2], N >= 1.
        same: [N], share of the choice that is alike, in [0, 1].
        titles: of the two directions.
        cells: of the grid along each.

    Raises:
        ShapeError: other shapes.
    """
    shares = np.asarray(same, np.float64)
    if (
        points.ndim != 2
        or points.shape[1] != 2
        or shares.shape != (len(points),)
        or not shares.size
    ):
        raise ShapeError(f"map_plot needs points [N, 2] and shares [N]; got {points.shape}")
    means, x_edges, y_edges = grid_means(points, shares, cells)
    figure = new_figure(height=4.4)
    axes = figure.add_subplot()
    mesh = axes.pcolormesh(
        x_edges, y_edges, np.ma.masked_invalid(means.T), cmap="cividis", vmin=0.0, vmax=1.0
    )
    bar = figure.colorbar(mesh, ax=axes)
    bar.set_label(AGREEMENT, color=INK, fontsize=FONT, labelpad=ROOM)
    bar.ax.tick_params(colors=INK, labelsize=FONT - 1)
    bar.outline.set_edgecolor(INK)
    title_axes(axes, *titles)
    axes.grid(visible=False)
    return figure


def grid_means(
    points: NDArray[Any], values: NDArray[np.float64], cells: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Means in the cells of a grid over points [N, 2]: [cells, cells], NaN where there are none.

    Returns:
        The means, the edges along the first direction and along the second, [cells + 1] each.

    >>> grid_means(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0]), 2)[0].tolist()
    [[0.0, nan], [nan, 1.0]]
    """
    sums, x_edges, y_edges = np.histogram2d(*points.T, bins=cells, weights=values)
    counts, _, _ = np.histogram2d(*points.T, bins=(x_edges, y_edges))
    with np.errstate(invalid="ignore"):
        return sums / np.where(counts > 0, counts, np.nan), x_edges, y_edges
