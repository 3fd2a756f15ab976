"""The picture holds every node, in valid XML, and says where it was cut."""

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from small_trees import random_tree

from rldistill.explain.drawing import MOST_LEAVES, Picture, draw_tree
from rldistill.students.tree import LEAF, TreeArrays, constant_tree

SVG = "{http://www.w3.org/2000/svg}"


def picture(tree: TreeArrays) -> Picture:
    inner = np.flatnonzero(tree.feature != LEAF).tolist()
    leaves = np.flatnonzero(tree.feature == LEAF).tolist()
    return Picture(
        tree=tree,
        conditions={node: f"speed <= {node} & more" for node in inner},
        notes={node: f"note {node}" for node in range(tree.num_nodes)},
        actions={leaf: f"action <{leaf}>" for leaf in leaves},
        colours={leaf: leaf % 3 for leaf in leaves},
        shares=[1.0] * tree.num_nodes,
        legend=[("left & right", 0)],
        title="a <tree>",
        subtitle="its subtitle",
    )


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("leaves", [1, 2, 17, 64])
def test_every_node_is_drawn_and_odd_letters_are_escaped(leaves: int) -> None:
    tree = random_tree(np.random.default_rng(0), leaves, 2)
    svg = draw_tree(picture(tree))
    found = texts(svg)
    assert sum(word.startswith("action <") for word in found) == leaves
    assert sum(word.startswith("speed <= ") for word in found) == leaves - 1
    assert found.count("yes") == found.count("no") == leaves - 1
    assert "left & right" in found
    assert "a <tree>" in found
    assert "prefers-color-scheme:dark" in svg


def test_boxes_do_not_overlap_and_lie_inside_the_page() -> None:
    tree = random_tree(np.random.default_rng(1), 40, 2)
    root = ET.fromstring(draw_tree(picture(tree)))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = [[float(one.get(key, 0)) for key in ("x", "y", "width", "height")]
             for group in root.iter(f"{SVG}g") for one in group.iter(f"{SVG}rect")]  # fmt: skip
    assert len(boxes) == tree.num_nodes
    for i, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for x2, y2, w2, h2 in boxes[i + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_a_large_tree_is_cut_at_a_depth_and_says_so() -> None:
    tree = random_tree(np.random.default_rng(2), 300, 2)
    found = texts(draw_tree(picture(tree)))
    drawn = sum(word.startswith("action <") for word in found)
    cut = [int(word.split()[0]) for word in found if word.endswith(" leaves more")]
    assert drawn + len(cut) <= MOST_LEAVES
    assert drawn + sum(cut) == 300
    assert any(f"stand for {sum(cut)} leaves" in word and "cut at depth" in word for word in found)
    whole = texts(draw_tree(picture(random_tree(np.random.default_rng(2), 64, 2))))
    assert not any("cut at depth" in word for word in whole)


def test_a_branch_is_as_thick_as_its_share() -> None:
    tree = random_tree(np.random.default_rng(0), 2, 2)
    drawn = dataclasses.replace(picture(tree), shares=[1.0, 1.0, 0.0])
    paths = ET.fromstring(draw_tree(drawn)).iter(f"{SVG}path")
    yes, no = (float(path.get("stroke-width", 0)) for path in paths)
    assert yes > 5 * no > 0


def test_a_single_leaf_has_no_branch() -> None:
    assert "<path" not in draw_tree(picture(constant_tree(np.zeros(2, np.float32))))
