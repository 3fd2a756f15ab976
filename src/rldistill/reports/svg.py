"""Figures of matplotlib as SVG that is a part of a page: its colours follow light and dark.

Text stays text. What is black, white or of the palette becomes a variable of the page's style
sheet, so that the same drawing is readable on both backgrounds and on paper.
"""

import io
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours on white; the style sheet has others for black. They differ for every colour vision in
# hue or lightness, and stand out from their background by 3 to 1. Lines differ in dashes too.
PALETTE = ("#0072b2", "#c04f00", "#00795c", "#a3357a", "#806300", "#4b3fa0")
MARKERS = ("o", "s", "^", "D", "v", "P")
INK, FAINT = "#000000", "#b0b0b0"  # black, and matplotlib's colour of grid lines

# Text stays text, ids are the same every time, and names of runs are no formulas.
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "rldistill", "text.parse_math": False}

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r"(font(?:-family)?:[^;]*?)'[^;]*")
# What a figure is drawn in -> a variable of the style sheet, which has one for each background.
_VARIABLES = {
    INK: "var(--ink)",
    "#ffffff": "var(--paper)",
    FAINT: "var(--faint)",
    **{colour: f"var(--hue-{i})" for i, colour in enumerate(PALETTE)},
}


@contextmanager
def drawing() -> Generator[None]:
    """In which figures are drawn and saved: names are no formulas, and any letter will do."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Letters that the measuring font lacks: the browser has another font.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def to_svg(figure: "Figure", prefix: str, label: str) -> str:
    """A figure as an <svg> element to be put into a page.

    Args:
        figure: with a transparent background.
        prefix: of every id in it; figures of one page need different ones.
        label: the text alternative.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    with drawing():
        # Not savefig: it draws everything twice.
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(buffer.getvalue())
    for child in [c for c in root if c.tag == f"{{{_SVG}}}metadata"]:
        root.remove(child)
    for element in root.iter():
        # Its style element would hold for the whole page, which has these two rules itself.
        for child in [c for c in element if c.tag == f"{{{_SVG}}}style"]:
            element.remove(child)
        _rewrite(element, prefix)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _rewrite(element: ElementTree.Element, prefix: str) -> None:
    """Make ids unique and colours variables, in place."""
    for name, value in element.attrib.items():
        if name == "id":
            element.set(name, f"{prefix}{value}")
        elif name in (_LINK, "href") and value.startswith("#"):
            element.set(name, f"#{prefix}{value[1:]}")
        elif name in ("style", "fill", "stroke", "clip-path"):
            value = _REFERENCE.sub(lambda found: f"url(#{prefix}{found[1]})", value)
            value = _COLOUR.sub(lambda found: _variable(found[0].lower()), value)
            element.set(name, _FONT.sub(r"\1sans-serif", value))
    if element.tag == f"{{{_SVG}}}text" and "fill:" not in element.get("style", ""):
        element.set("style", f"{element.get('style', '')}; fill: var(--ink)".lstrip("; "))


def _variable(colour: str) -> str:
    return _VARIABLES.get(colour, colour)
