"""What two policies cost: parameters, bytes, seconds per decision."""

from collections.abc import Mapping
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from rldistill.errors import ShapeError
from rldistill.reports.plots.style import FONT, INK, drawn, look_of, new_figure, title_axes


@drawn
def costs_plot(costs: Mapping[str, Mapping[str, float]]) -> Figure:
    """Bars from 0, one panel per cost.

    Args:
        costs: per cost, its title with its unit, the number of each policy, above 0.

    Raises:
        ShapeError: there is no cost, or a number is not above 0.

    >>> costs_plot({"parameters": {"teacher": 10.0, "student": 1.0}}).axes[0].get_xlabel()
    'parameters'
    """
    if not costs or any(not n > 0 for numbers in costs.values() for n in numbers.values()):
        raise ShapeError("costs_plot needs costs above 0")
    figure = new_figure(height=0.2 + 1.15 * len(costs))
    panels = cast("list[Axes]", list(figure.subplots(len(costs), squeeze=False).flat))
    for axes, (title, numbers) in zip(panels, costs.items(), strict=True):
        for row, (name, number) in enumerate(numbers.items()):
            hatch = "///" if name == "teacher" else ""
            axes.barh(
                row, number, 0.7, color=look_of(name, row).colour, hatch=hatch, edgecolor="white",
                lw=0,
            )  # fmt: skip
            axes.annotate(
                f"{number:,.3g}" if number < 1000 else f"{number:,.0f}", (number, row), (5, 0),
                textcoords="offset points", va="center", color=INK, fontsize=FONT - 1,
            )  # fmt: skip
        axes.set_xlim(0.0, 1.3 * max(numbers.values()))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_yticks(range(len(numbers)), list(numbers))
        axes.set_ylim(len(numbers) - 0.4, -0.6)
        title_axes(axes, title, "policy")
        axes.yaxis.labelpad = 10.0
    return figure
