"""How all figures look: one ink, safe colours, room for titles, no background."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from rldistill.reports.svg import FAINT, INK, MARKERS, PALETTE, drawing

FONT = 11.0
WIDTH, HEIGHT = 6.4, 3.6  # inches
ROOM = 9.0  # points between tick labels and titles: a page makes texts larger on a phone


@final
@dataclass(frozen=True, slots=True)
class Look:
    """How one policy is drawn."""

    colour: str
    marker: str
    line: str


# The order of the palette, so that a page can change it with its background.
LOOKS = {
    "student": Look(PALETTE[0], "o", "-"),
    "teacher": Look(PALETTE[1], "s", "--"),
    "random policy": Look(PALETTE[4], "^", ":"),
}
OTHERS = tuple(
    Look(PALETTE[i], MARKERS[3 + n], line)
    for n, (i, line) in enumerate(((2, "-."), (3, "-"), (5, "--")))
)
Arguments = ParamSpec("Arguments")


def drawn(plot: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """A plot function that draws in the house's style, whatever style the caller has set."""

    @wraps(plot)
    def in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with drawing():
            return plot(*args, **kwargs)

    return in_style


def look_of(name: str, place: int = 0) -> Look:
    """How to draw what has this name; others take turns by their place.

    >>> look_of("teacher").marker, look_of("something else", 1).marker
    ('s', 'v')
    """
    return LOOKS.get(name) or OTHERS[place % len(OTHERS)]


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """An empty figure of so many inches, transparent, that makes room for its titles."""
    return Figure((width, height), layout="constrained", facecolor="none")


def title_axes(axes: Axes, x: str, y: str) -> None:
    """Title both axes, and draw them in the house's way."""
    axes.set_xlabel(x, color=INK, fontsize=FONT)
    axes.set_ylabel(y, color=INK, fontsize=FONT, labelpad=ROOM)
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=FONT - 1)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.grid(visible=True, color=FAINT, alpha=0.5, linewidth=0.6)
    axes.set_axisbelow(True)


def add_legend(axes: Axes) -> Legend:
    """A legend above the axes, where it hides nothing."""
    return axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=4,
        frameon=False,
        fontsize=FONT - 1,
        labelcolor=INK,
        borderaxespad=0.2,
        handletextpad=0.5,
        columnspacing=3.6,
    )


def axis_title(name: str, unit: str = "") -> str:
    """A name with its unit in brackets.

    >>> axis_title("return", "reward per episode"), axis_title("share")
    ('return [reward per episode]', 'share')
    """
    return f"{name} [{unit}]" if unit else name
