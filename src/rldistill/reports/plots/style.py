"""How all figures look: one ink, safe colours, room for titles, no background."""

from dataclasses import dataclass
from typing import final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

# Text and axes. A page may set another ink in its place; no data has this colour.
INK = "#262626"
GRID = "#8C8C8C"
FONT = 11.0
WIDTH, HEIGHT = 6.4, 3.6  # inches


@final
@dataclass(frozen=True, slots=True)
class Look:
    """How one policy is drawn."""

    colour: str
    marker: str
    line: str


# Source: Okabe and Ito 2008, "Color Universal Design".
LOOKS = {
    "student": Look("#0072B2", "o", "-"),
    "teacher": Look("#D55E00", "s", "--"),
    "random policy": Look("#7F7F7F", "^", ":"),
}
OTHERS = (
    Look("#009E73", "D", "-"),
    Look("#CC79A7", "v", "--"),
    Look("#56B4E9", "P", "-."),
    Look("#E69F00", "X", ":"),
)


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
    axes.set_ylabel(y, color=INK, fontsize=FONT)
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=FONT - 1)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.grid(visible=True, color=GRID, alpha=0.25, linewidth=0.6)
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
        columnspacing=1.2,
    )


def axis_title(name: str, unit: str = "") -> str:
    """A name with its unit in brackets.

    >>> axis_title("return", "reward per episode"), axis_title("share")
    ('return [reward per episode]', 'share')
    """
    return f"{name} [{unit}]" if unit else name
