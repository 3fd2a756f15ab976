"""A tree drawn as SVG: from left to right, the upper branch is yes; readable in light and dark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, final

import numpy as np

from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]
# More leaves than this are not drawn: the tree is cut at a depth, and a note says so.
MOST_LEAVES = 64
ROW, BOX, GAP, MARGIN, HEAD = 44.0, 34.0, 52.0, 16.0, 78.0
LETTER = 6.7  # width of a letter of 12 pixels, on average
WIDEST_LINE = 6.0
WIDEST_LEGEND = 900.0
NUM_COLOURS = 8
# Fill and edge of actions, light then dark: the hues of Okabe and Ito 2008, told apart by those who
# are colour blind.
_LIGHT = (
    ("#dbeafb", "#0072b2"), ("#fdecc8", "#b97a00"), ("#d5f2e6", "#009e73"), ("#fbdfce", "#c04d00"),
    ("#f4def0", "#a8407f"), ("#e0f3fd", "#2f8fc2"), ("#fbf6c9", "#8f8400"), ("#e8e8e8", "#555555"),
)  # fmt: skip
_DARK = (
    ("#0d3350", "#56b4e9"), ("#4a3300", "#e69f00"), ("#053d2d", "#2fd0a0"), ("#4f2100", "#ff8a3d"),
    ("#43203a", "#e39acb"), ("#113a4e", "#8fd3f7"), ("#3d3900", "#f0e442"), ("#333333", "#bbbbbb"),
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn.

    Attributes:
        tree: its shape.
        conditions: by inner node, its question in words.
        notes: by node, the small line: the share of visits and what follows.
        actions: by leaf, what it does, in words.
        colours: by leaf, an index into the colours; None for none.
        shares: [N], share of the states that pass each node.
        legend: names of actions with their colours.
        order: continuous actions in the order of their numbers, in place of a legend.
        title: what the picture is of.
        subtitle: a line below it.
    """

    tree: TreeArrays
    conditions: Mapping[int, str]
    notes: Mapping[int, str]
    actions: Mapping[int, str]
    colours: Mapping[int, int | None]
    shares: Sequence[float]
    legend: Sequence[tuple[str, int]]
    title: str
    subtitle: str = ""
    order: str = ""


@final
@dataclass(slots=True)
class _Layout:
    """Where every node that is drawn stands; a node that is cut stands for all below it."""

    row: dict[int, float] = field(default_factory=dict[int, float])
    depth: dict[int, int] = field(default_factory=dict[int, int])
    cut: dict[int, int] = field(default_factory=dict[int, int])
    num_rows: int = 0


def draw_tree(picture: Picture) -> str:
    """The SVG document.

    A tree of more than 64 leaves is cut at the greatest depth that leaves at most 64 ends; each
    node cut says how many leaves lie below it, and the subtitle that it was cut.
    """
    layout, limit = _layout(picture.tree)
    edges, widths = _columns(picture, layout)
    boxes = [_node(picture, layout, node, (edges, widths)) for node in layout.row]
    lines = [_branches(picture, layout, node, (edges, widths)) for node in layout.row]
    legend, needed = _legend(picture, max(edges[-1] + widths[-1], WIDEST_LEGEND))
    width = max(edges[-1] + widths[-1], LETTER * 1.3 * len(picture.title) + MARGIN, needed) + MARGIN
    subtitle = picture.subtitle
    if layout.cut:
        shown = len(layout.cut)
        subtitle += (
            f"{'; ' if subtitle else ''}cut at depth {limit}: {shown} "
            f"{'node stands' if shown == 1 else 'nodes stand'} for "
            f"{sum(layout.cut.values())} leaves"
        )
    width = max(width, LETTER * max(len(subtitle), len(picture.order)) + 2 * MARGIN)
    height = HEAD + layout.num_rows * ROW + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img" aria-labelledby="title">',
            f'<title id="title">{escape(picture.title)}</title>',
            _style(),
            f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>',
            f'<text class="title" x="{MARGIN:.0f}" y="26">{escape(picture.title)}</text>',
            f'<text class="small" x="{MARGIN:.0f}" y="44">{escape(subtitle)}</text>',
            *legend,
            f'<text class="small" x="{MARGIN:.0f}" y="65">{escape(picture.order)}</text>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def _layout(tree: TreeArrays) -> tuple[_Layout, int]:
    """Rows of the ends from above, of inner nodes between their children; and the depth shown."""
    depths = tree.depths()
    limit = tree.depth
    while _ends(tree, depths, limit) > MOST_LEAVES:
        limit -= 1
    layout = _Layout()
    leaves = _leaves_below(tree)
    order: list[int] = []
    waiting = [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        layout.depth[node] = int(depths[node])
        if tree.feature[node] == LEAF or depths[node] == limit:
            if tree.feature[node] != LEAF:
                layout.cut[node] = leaves[node]
            layout.row[node] = float(layout.num_rows)
            layout.num_rows += 1
            continue
        waiting += [int(tree.right[node]), int(tree.left[node])]
    for node in reversed(order):
        if node not in layout.row:
            children = layout.row[int(tree.left[node])], layout.row[int(tree.right[node])]
            layout.row[node] = sum(children) / 2
    return layout, limit


def _ends(tree: TreeArrays, depths: Array, limit: int) -> int:
    leaf = tree.feature == LEAF
    return int(((depths == limit) | (leaf & (depths < limit))).sum())


def _leaves_below(tree: TreeArrays) -> list[int]:
    below = [1] * tree.num_nodes
    for node in reversed(range(tree.num_nodes)):
        if tree.feature[node] != LEAF:
            below[node] = below[int(tree.left[node])] + below[int(tree.right[node])]
    return below


def _texts(picture: Picture, layout: _Layout, node: int) -> tuple[str, str]:
    """The two lines in a node."""
    if node in layout.cut:
        return f"{layout.cut[node]} leaves more", picture.notes.get(node, "")
    first = picture.conditions.get(node) or picture.actions.get(node, "")
    return first, picture.notes.get(node, "")


def _columns(picture: Picture, layout: _Layout) -> tuple[list[float], list[float]]:
    """Left edge and width of each column of nodes."""
    count = max(layout.depth.values()) + 1
    widths = [0.0] * count
    for node, depth in layout.depth.items():
        first, second = _texts(picture, layout, node)
        need = max(LETTER * len(first), 0.86 * LETTER * len(second)) + 20
        widths[depth] = max(widths[depth], need)
    edges = [MARGIN + sum(widths[:depth]) + GAP * depth for depth in range(count)]
    return edges, widths


Columns = tuple[list[float], list[float]]


def _middle(layout: _Layout, node: int) -> float:
    return HEAD + (layout.row[node] + 0.5) * ROW


def _node(picture: Picture, layout: _Layout, node: int, columns: Columns) -> str:
    x, width = (column[layout.depth[node]] for column in columns)
    y = _middle(layout, node)
    colour = picture.colours.get(node)
    kind = "node" if node in picture.conditions and node not in layout.cut else "leaf"
    shade = (
        "cut" if node in layout.cut else f"a{colour % NUM_COLOURS}" if colour is not None else ""
    )
    first, second = _texts(picture, layout, node)
    return (
        f'<g><rect class="{kind} {shade}" x="{x:.1f}" y="{y - BOX / 2:.1f}" width="{width:.1f}" '
        f'height="{BOX:.0f}" rx="{5 if kind == "node" else 15}"/>'
        f'<text class="{kind}-text" x="{x + 10:.1f}" y="{y - 2:.1f}">{escape(first)}</text>'
        f'<text class="small" x="{x + 10:.1f}" y="{y + 12:.1f}">{escape(second)}</text></g>'
    )


def _branches(picture: Picture, layout: _Layout, node: int, columns: Columns) -> str:
    """The two branches of an inner node, as thick as the share of states that takes them."""
    tree = picture.tree
    if tree.feature[node] == LEAF or node in layout.cut:
        return ""
    edges, widths = columns
    depth = layout.depth[node]
    x0, x1, y0 = edges[depth] + widths[depth], edges[depth + 1], _middle(layout, node)
    found: list[str] = []
    children = ((int(tree.left[node]), "yes", -5.0), (int(tree.right[node]), "no", 12.0))
    for child, word, above in children:
        y1, half = _middle(layout, child), (x0 + x1) / 2
        thick = 1.0 + (WIDEST_LINE - 1.0) * float(picture.shares[child])
        found.append(
            f'<path class="branch" stroke-width="{thick:.2f}" '
            f'd="M{x0:.1f} {y0:.1f}C{half:.1f} {y0:.1f} {half:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"/>'
            f'<text class="small word" x="{x1 - 5:.1f}" y="{y1 + above:.1f}">{word}</text>'
        )
    return "".join(found)


def _legend(picture: Picture, most: float) -> tuple[list[str], float]:
    """The colours with their names, as many as fit, and where they end."""
    found: list[str] = []
    x = MARGIN
    for name, colour in picture.legend:
        need = 22 + LETTER * len(name) + 14
        if x + need > most:
            break
        found.append(
            f'<rect class="leaf a{colour % NUM_COLOURS}" x="{x:.1f}" y="54" width="14" height="14" '
            f'rx="4"/><text class="small" x="{x + 20:.1f}" y="65">{escape(name)}</text>'
        )
        x += need
    return found, x


def _style() -> str:
    """Colours of both schemes, by what the reader's system prefers."""
    light = _scheme(("#ffffff", "#1b1f24", "#57606a", "#f4f6f8", "#8c959f"), _LIGHT)
    dark = _scheme(("#16191d", "#e8eaed", "#a9b1ba", "#262b31", "#6e7781"), _DARK)
    return (
        "<style>text{font-family:system-ui,sans-serif;font-size:12px}"
        ".title{font-size:17px;font-weight:600}.small{font-size:10.5px}.word{text-anchor:end}"
        ".leaf-text{font-weight:600}.branch{fill:none}.cut{stroke-dasharray:4 3}"
        f"{light}@media (prefers-color-scheme:dark){{{dark}}}</style>"
    )


def _scheme(plain: tuple[str, str, str, str, str], actions: Sequence[tuple[str, str]]) -> str:
    page, text, small, node, line = plain
    coloured = "".join(
        f".a{i}{{fill:{fill};stroke:{edge}}}" for i, (fill, edge) in enumerate(actions)
    )
    return (
        f".page{{fill:{page}}}text{{fill:{text}}}.small{{fill:{small}}}"
        f".node,.leaf{{fill:{node};stroke:{line}}}.branch{{stroke:{line}}}{coloured}"
    )
