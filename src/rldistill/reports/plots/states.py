"""States: where two policies go, and what they choose where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rldistill.errors import ShapeError
from rldistill.reports.plots.style import (
    FONT,
    INK,
    add_legend,
    drawn,
    look_of,
    new_figure,
    title_axes,
)

MOST_POINTS = 500  # drawn of each policy: more hide each other, and a page has a size


@final
@dataclass(frozen=True, slots=True)
class Choice:
    """What both policies say in one state.

    Attributes:
        title: which state.
        teacher, student: probability of each action; or where actions are continuous the likeliest
            value of each component.
        spread: deviations of the components, of teacher and student; None for probabilities, and
            where a policy has none.
    """

    title: str
    teacher: Sequence[float]
    student: Sequence[float]
    spread: tuple[Sequence[float], Sequence[float]] | None = None


@drawn
def choices_plot(choices: Sequence[Choice], actions: Sequence[str], y_title: str) -> Figure:
    """Both policies' actions, one panel per state.

    Args:
        choices: at least one, of equal numbers of actions.
        actions: one name per action or component.
        y_title: title of the vertical axes, for example "probability".

    Raises:
        ShapeError: no choice, or another number of actions than names.
    """
    if not choices or any(len(c.teacher) != len(actions) for c in choices):
        raise ShapeError("choices_plot needs choices with one number per action named")
    columns = min(2, len(choices))
    rows = -(-len(choices) // columns)
    figure = new_figure(height=0.6 + 2.6 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for place, axes in enumerate(grid.flat):
        if place >= len(choices):
            axes.set_visible(False)
            continue
        _draw_choice(axes, choices[place], actions)
        title_axes(axes, "action", y_title)
        axes.set_title(choices[place].title, fontsize=FONT - 1, color=INK, loc="left")
        axes.grid(visible=False, axis="x")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper left", ncols=2, frameon=False, labelcolor=INK,
        fontsize=FONT - 1,
    )  # fmt: skip
    return figure


def _draw_choice(axes: Axes, choice: Choice, actions: Sequence[str]) -> None:
    at = np.arange(len(actions))
    sides = (("teacher", choice.teacher, -0.2), ("student", choice.student, 0.2))
    for index, (name, values, shift) in enumerate(sides):
        look = look_of(name)
        if choice.spread is None:
            hatch = "///" if name == "teacher" else ""
            axes.bar(
                at + shift, values, 0.38, color=look.colour, hatch=hatch, edgecolor="white", lw=0,
                label=name,
            )  # fmt: skip
        else:
            axes.errorbar(
                at + shift, values, yerr=choice.spread[index], fmt=look.marker, ms=5,
                color=look.colour, capsize=3, label=name,
            )  # fmt: skip
    axes.set_xlim(-0.6, len(actions) - 0.4)
    steep = len(actions) > 2 or max(map(len, actions)) > 16
    axes.set_xticks(at, actions, rotation=30 if steep else 0, ha="right" if steep else "center")


@drawn
def visitation_plot(clouds: Mapping[str, NDArray[Any]], titles: tuple[str, str]) -> Figure:
    """Where policies go: one point per state, in two directions.

    Args:
        clouds: per policy [N, 2]; of more than 500 states evenly many are left out.
        titles: of the two directions.

    Raises:
        ShapeError: no cloud, or one of another shape.
    """
    if not clouds or any(c.ndim != 2 or c.shape[1] != 2 or not len(c) for c in clouds.values()):
        raise ShapeError("visitation_plot needs clouds of states [N, 2], N >= 1")
    figure = new_figure(height=4.4)
    axes = figure.add_subplot()
    for place, (name, cloud) in enumerate(clouds.items()):
        look = look_of(name, place)
        rows = np.linspace(0, len(cloud) - 1, min(len(cloud), MOST_POINTS)).round().astype(int)
        axes.scatter(
            *cloud[rows].T, s=16, marker=look.marker, alpha=0.55, label=name,
            facecolors="none" if name == "teacher" else look.colour,
            edgecolors=look.colour if name == "teacher" else "none",
        )  # fmt: skip
    title_axes(axes, *titles)
    add_legend(axes)
    return figure
