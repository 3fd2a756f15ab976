"""Linear functions over boxes: nothing sampled lies outside of what is said to be possible."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_trees import seeds

from rldistill.explain.boxes import Box
from rldistill.explain.linear_leaves import best_point, excluded, ranges


def drawn(seed: int, actions: int) -> tuple[np.ndarray, np.ndarray, Box, np.ndarray]:
    """Values, coefficients, a box, and observations in it with all of its corners."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(actions).astype(np.float32)
    coefficients = generator.standard_normal((actions, 3)).astype(np.float32)
    low = generator.uniform(-2, 1, 3).astype(np.float32)
    box = Box(low, low + generator.uniform(0, 2, 3).astype(np.float32))
    corners = np.stack(np.meshgrid(*zip(box.low, box.high, strict=True), indexing="ij"), -1)
    inside = box.nearest(generator.uniform(-2, 3, (500, 3)))
    return values, coefficients, box, np.concatenate([corners.reshape(-1, 3), inside])


@given(seed=seeds)
def test_ranges_hold_what_float32_computes_and_are_tight(seed: int) -> None:
    values, coefficients, box, points = drawn(seed, 2)
    low, high = ranges(values, coefficients, box)
    computed = values + np.einsum("oi,bi->bo", coefficients, points)
    assert (computed >= low).all()
    assert (computed <= high).all()
    assert np.allclose(computed.min(0), low, atol=1e-4)
    assert np.allclose(computed.max(0), high, atol=1e-4)


@given(seed=seeds, actions=st.integers(2, 5))
def test_what_is_excluded_is_never_the_largest_and_the_rest_has_a_point(
    seed: int, actions: int
) -> None:
    values, coefficients, box, points = drawn(seed, actions)
    computed = values + np.einsum("oi,bi->bo", coefficients, points)
    seen = set(computed.argmax(1).tolist())
    out = excluded(values, coefficients, box)
    assert seen.isdisjoint(np.flatnonzero(out).tolist())
    for action in seen:
        point = best_point(values, coefficients, box, action, -1e-4)
        assert point is not None
        assert box.contains(point[None])[0]
        ahead = values + coefficients @ point
        assert ahead[action] >= ahead.max() - 1e-3


def test_a_point_leads_by_its_margin_and_is_the_nearest_to_zero() -> None:
    values, coefficients = np.float32([0, 0]), np.float32([[0, 0], [1, 0]])
    box = Box(np.float32([-9, -9]), np.float32([9, 9]))
    assert np.allclose(best_point(values, coefficients, box, 1, 0.5), [0.5, 0.0])
    assert best_point(values, coefficients, box, 1, 10.0) is None
