"""Draw the decision tree of `rldistill advise` as docs/decision_tree.svg.

Run it again when the tree changes: python examples/draw_decision_tree.py
"""

import sys
import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

from rldistill.evaluation.decision_tree import QUESTIONS, TREE, Branch, Leaf

PAGE = Path(__file__).parents[1] / "docs" / "decision_tree.svg"
WIDTH, BOX, LEAF, GAP, LINE, PAD = 940, 186, 216, 44, 17, 9
STYLE = """
  text { font: 13px sans-serif; fill: #222 }
  .row { font: 12px monospace } .first { font-weight: bold } .answer { font-style: italic }
  rect { fill: #fff; stroke: #00796b; stroke-width: 1.4 } .leaf { fill: #e0f2f1 }
  path { fill: none; stroke: #00796b; stroke-width: 1.4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #eee } rect { fill: #23262f } .leaf { fill: #103b37 } path { stroke: #4db6ac }
  }
"""


def question_box(node: Branch, x: float, y: float) -> tuple[list[str], float]:
    """The box of a question at its top left corner, and its height."""
    lines = textwrap.wrap(QUESTIONS[node.question].words, 26)
    height = LINE * len(lines) + 2 * PAD
    shapes = [f'<rect x="{x}" y="{y}" width="{BOX}" height="{height}" rx="8"/>']
    shapes += [
        f'<text x="{x + PAD}" y="{y + PAD + 13 + LINE * i}">{escape(line)}</text>'
        for i, line in enumerate(lines)
    ]
    return shapes, height


def leaf_box(leaf: Leaf, x: float, y: float) -> tuple[list[str], float]:
    """The rows of a leaf; a star where the paper's figure has one."""
    height = LINE * len(leaf.rows) + 2 * PAD
    shapes = [f'<rect class="leaf" x="{x}" y="{y}" width="{LEAF}" height="{height}"/>']
    for i, row in enumerate(leaf.rows):
        star = " *" if i == 0 and leaf.marked else ""
        style = "row first" if star else "row"
        at = f'x="{x + PAD}" y="{y + PAD + 13 + LINE * i}"'
        shapes.append(f'<text class="{style}" {at}>{row}{star}</text>')
    return shapes, height


def edge(points: list[tuple[float, float]], answer: str, at: tuple[float, float]) -> list[str]:
    """A line through points, and the answer beside it."""
    line = " L ".join(f"{x} {y}" for x, y in points)
    words = f'<text class="answer" x="{at[0]}" y="{at[1]}">{answer}</text>'
    return [f'<path d="M {line}"/>', words]


def draw(node: Branch, x: float, y: float) -> tuple[list[str], float]:
    """A question, its leaf to the right, what follows below; and the lowest y."""
    shapes, height = question_box(node, x, y)
    middle, bottom = x + BOX / 2, y + height
    children = sorted(
        ((node.no, "no"), (node.yes, "yes")),
        key=lambda child: (isinstance(child[0], Branch), child[1] == "no"),
    )
    if isinstance(children[0][0], Branch):
        return split(node, shapes, (middle, bottom))
    (side, answer), (below, other) = children
    drawn, size = leaf_box(side, x + BOX + GAP, y)
    start = (x + BOX, y + min(height, size) / 2)
    shapes += drawn
    shapes += edge([start, (start[0] + GAP, start[1])], answer, (start[0] + 9, start[1] - 6))
    top = max(bottom, y + size) + 34
    shapes += edge([(middle, bottom), (middle, top)], other, (middle + 8, top - 12))
    if isinstance(below, Branch):
        drawn, lowest = draw(below, x, top)
    else:
        drawn, size = leaf_box(below, x, top)
        lowest = top + size
    return shapes + drawn, lowest


def split(node: Branch, shapes: list[str], start: tuple[float, float]) -> tuple[list[str], float]:
    """Two questions follow: one column each."""
    (middle, bottom), lowest, turn = start, 0.0, start[1] + 20
    for child, answer, x in ((node.no, "no", 10), (node.yes, "yes", 10 + WIDTH / 2)):
        assert isinstance(child, Branch)
        centre, top = x + BOX / 2, turn + 28
        points = [(middle, bottom), (middle, turn), (centre, turn), (centre, top)]
        shapes += edge(points, answer, (centre + 8, top - 8))
        drawn, end = draw(child, x, top)
        shapes, lowest = shapes + drawn, max(lowest, end)
    return shapes, lowest


def svg() -> str:
    """The whole drawing."""
    shapes, lowest = draw(TREE, WIDTH / 2 - BOX / 2, 10)
    height = lowest + 10
    title = "Which row of the method table: the decision tree of Czarnecki et al. 2019, Fig. 1"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            *shapes,
            "</svg>\n",
        )
    )


if __name__ == "__main__":
    PAGE.write_text(svg())
    sys.stdout.write(f"{PAGE}\n")
