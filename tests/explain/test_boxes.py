"""Boxes on the grid of float32: leaves part all observations, none is left out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_trees import dense_points, random_tree, seeds

from rldistill.explain.boxes import LARGEST, Box, above, below, leaf_boxes

LOW, HIGH = np.full(3, -5.0, np.float32), np.full(3, 5.0, np.float32)
numbers = st.floats(-1e30, 1e30)


@settings(max_examples=50)
@given(seed=seeds, leaves=st.integers(1, 12))
def test_each_observation_lies_in_the_box_of_its_leaf_alone(seed: int, leaves: int) -> None:
    """Thresholds and their float32 neighbours included."""
    tree = random_tree(np.random.default_rng(seed), leaves, 2)
    points = dense_points(LOW, HIGH, 50)
    boxes = leaf_boxes(tree, 3)
    inside = np.stack([boxes.box(i).contains(points) for i in range(len(boxes.leaves))], 1)
    assert (inside.sum(1) == 1).all()
    assert np.array_equal(boxes.leaves[inside.argmax(1)], tree.leaf_of(points))


@given(seed=seeds)
def test_within_keeps_exactly_the_leaves_that_are_reached(seed: int) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, 8, 2)
    low = generator.choice(np.float32([-1.0, -0.1, 0.0, 0.3]), 3)
    high = low + generator.choice(np.float32([0.0, 0.2, 1.0]), 3)
    points = dense_points(low, high)
    reached = leaf_boxes(tree, 3).within(Box(low, high))
    assert set(reached.leaves.tolist()) == set(tree.leaf_of(points).tolist())


@given(number=numbers, strict=st.booleans())
def test_below_is_the_largest_float32_that_is_below(number: float, strict: bool) -> None:
    """Compared as real numbers, in float64."""
    found = below(number, strict=strict)
    after = float(np.nextafter(found, np.float32(np.inf)))
    assert float(found) < number if strict else float(found) <= number
    assert after >= number if strict else after > number
    assert above(-number, strict=strict) == -found


def test_everything_is_everything_finite_and_nearest_is_inside() -> None:
    box = Box.everything(2)
    assert box.contains(np.float32([[LARGEST, -LARGEST], [np.inf, 0]])).tolist() == [True, False]
    small = Box(np.float32([0, 1]), np.float32([1, 2]))
    assert small.nearest(np.array([5.0, 0.0])).tolist() == [1.0, 1.0]
    assert small.meet(Box(np.float32([2, 1]), np.float32([3, 2]))).is_empty
