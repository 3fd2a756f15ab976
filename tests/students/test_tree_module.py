"""A tree in torch decides as in numpy, also at thresholds, few at a time or many."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.core import CategoricalHead
from rldistill.errors import ShapeError, TaskError
from rldistill.students import tree_walk
from rldistill.students.build import make_student
from rldistill.students.cart import fit_cart
from rldistill.students.linear_tree import fit_linear_tree
from rldistill.students.tree import ARRAYS, TreeArrays
from rldistill.students.tree_module import TreeModule
from rldistill.students.tree_specs import parse_tree
from rldistill.students.tree_targets import targets_of

INPUTS = 5


def grown(linear: bool = False) -> TreeArrays:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2000, INPUTS)).astype(np.float32)
    raw = np.sin(3 * x @ generator.standard_normal((INPUTS, 3))).astype(np.float32)
    targets = targets_of(CategoricalHead(3), raw, weighted=True)
    return fit_linear_tree(x, targets, 6) if linear else fit_cart(x, targets, 60)


def at_thresholds(tree: TreeArrays, rows: int) -> np.ndarray:
    """Observations of which a third are thresholds, a third the floats just above."""
    generator = np.random.default_rng(1)
    x = generator.standard_normal((rows, INPUTS)).astype(np.float32)
    inner = np.flatnonzero(tree.feature >= 0)
    for shift in (0, 1):
        node = generator.choice(inner, rows // 3)
        at = np.arange(rows // 3) + shift * (rows // 3)
        exact = tree.threshold[node]
        x[at, tree.feature[node]] = np.nextafter(exact, np.float32(9)) if shift else exact
    return x


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_torch_is_numpy(monkeypatch, linear, compiled):
    monkeypatch.setattr(tree_walk, "WORTH_COMPILING", 0 if compiled else 10**9)
    tree = grown(linear)
    module = TreeModule(parse_tree("tree", "60"), INPUTS, tree)
    x = at_thresholds(tree, 900)
    assert module.leaf_of(torch.from_numpy(x)).tolist() == tree.leaf_of(x).tolist()
    raw = module(torch.from_numpy(x)).numpy()
    if linear:
        np.testing.assert_allclose(raw, tree.raw(x), rtol=1e-4, atol=1e-4)
    else:
        assert (raw == tree.raw(x)).all()


def test_the_state_dict_is_the_arrays_and_is_checked():
    tree = grown(linear=True)
    module = TreeModule(parse_tree("linear-tree", "6"), INPUTS, tree)
    state = module.state_dict()
    assert sorted(state) == sorted(ARRAYS)
    other = TreeModule(parse_tree("linear-tree", "6"), INPUTS, grown())
    other.load_state_dict(state)
    assert (other.tree.values == tree.values).all()
    state["left"] = torch.full_like(state["left"], 1)
    with pytest.raises(ShapeError, match="one tree"):
        other.load_state_dict(state)


def test_observations_must_be_those_of_the_task():
    module = TreeModule(parse_tree("tree", "60"), INPUTS, grown())
    with pytest.raises(ShapeError, match="on 5 numbers"):
        module(torch.zeros(2, 4))
    with pytest.raises(ShapeError, match="observations have 1"):
        TreeModule(parse_tree("tree", "60"), 1, grown())


@pytest.mark.parametrize("spec", ["tree:8", "linear-tree:8", "rules:8", "soft-tree:2"])
def test_pixels_are_refused_with_advice(spec):
    frames = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    with pytest.raises(TaskError, match="RAM of an Atari game, objects"):
        make_student(spec, frames, spaces.Discrete(3))
