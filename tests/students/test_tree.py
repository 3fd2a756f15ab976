"""TreeArrays: one checked tree, walked in float32."""

import dataclasses

import numpy as np
import pytest

from rldistill.errors import NotFiniteError, ShapeError
from rldistill.students.tree import ARRAYS, TreeArrays, constant_tree, tree_from_arrays


def small(**changes) -> TreeArrays:
    """x[1] <= 0.1 ? (x[0] <= -2 ? leaf 3 : leaf 4) : leaf 2."""
    arrays = {
        "feature": np.array([1, 0, -1, -1, -1], np.int32),
        "threshold": np.array([0.1, -2, 0, 0, 0], np.float32),
        "left": np.array([1, 3, -1, -1, -1], np.int32),
        "right": np.array([2, 4, -1, -1, -1], np.int32),
        "values": np.arange(10, dtype=np.float32).reshape(5, 2),
        "coefficients": None,
        "samples": np.array([9, 6, 3, 4, 2], np.int64),
        "impurity": np.zeros(5, np.float32),
    }
    return TreeArrays(**(arrays | changes))


def test_by_hand():
    tree = small()
    x = np.array([[-2, 0.1], [-1.9, 0.1], [0, 0.2]], np.float32)
    assert tree.leaf_of(x).tolist() == [3, 4, 2]
    assert tree.raw(x).tolist() == [[6, 7], [8, 9], [4, 5]]
    assert (tree.num_nodes, tree.num_leaves, tree.depth, tree.least_inputs) == (5, 3, 2, 2)
    assert tree.depths().tolist() == [0, 1, 1, 2, 2]


def test_a_float64_observation_is_compared_as_float32():
    """0.1 in float64 is below the float32 nearest to it; both must go left."""
    tree = small()
    assert tree.leaf_of(np.array([[0.0, 0.1]])).tolist() == [4]
    above = np.nextafter(np.float32(0.1), np.float32(1))
    assert tree.leaf_of(np.array([[0.0, above]], np.float32)).tolist() == [2]


def test_linear_leaves():
    coefficients = np.zeros((5, 2, 2), np.float32)
    coefficients[2] = [[1, 0], [0, 10]]
    tree = small(coefficients=coefficients)
    assert tree.raw(np.array([[3, 1]], np.float32)).tolist() == [[4 + 3, 5 + 10]]


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("left", 0, 0),  # itself
        ("left", 1, 2),  # a node with two parents, one with none
        ("right", 1, 9),  # no such node
        ("left", 1, -1),
        ("feature", 2, 0),  # an inner node without children
        ("feature", 0, -2),
        ("feature", 1, -1),  # children that nobody leads to
    ],
)
def test_nodes_that_are_no_tree_are_refused(name, at, value):
    array = getattr(small(), name).copy()
    array[at] = value
    with pytest.raises(ShapeError, match="one tree"):
        small(**{name: array})


@pytest.mark.parametrize("name", ["threshold", "values", "impurity"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(name, value):
    array = getattr(small(), name).copy()
    array[0] = value
    with pytest.raises(NotFiniteError):
        small(**{name: array})


@pytest.mark.parametrize("name", [name for name in ARRAYS if name != "coefficients"])
def test_other_types_and_lengths_are_refused(name):
    array = getattr(small(), name)
    for wrong in (array.astype(np.float16), array[:-1], array[None]):
        with pytest.raises(ShapeError):
            small(**{name: wrong})


def test_arrays_by_name_round_trip_and_must_be_complete():
    tree = small()
    arrays = {name: getattr(tree, name) for name in ARRAYS if name != "coefficients"}
    again = tree_from_arrays(arrays)
    assert all(getattr(again, name) is arrays[name] for name in arrays)
    with pytest.raises(ShapeError, match="a tree has the arrays"):
        tree_from_arrays({k: v for k, v in arrays.items() if k != "left"})
    with pytest.raises(ShapeError, match="a tree has the arrays"):
        tree_from_arrays({**arrays, "more": arrays["left"]})


def test_too_few_numbers_are_refused():
    with pytest.raises(ShapeError, match="on 2 numbers"):
        small().leaf_of(np.zeros((3, 1), np.float32))
    assert constant_tree(np.ones(2)).raw(np.zeros((3, 1))).tolist() == [[1, 1]] * 3


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        small().feature = None
