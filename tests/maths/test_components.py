"""Principal components: orthogonal, in order of their variance, and of standardised numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import NotFiniteError, ShapeError
from rldistill.maths.components import principal_components


def test_a_line_has_one_direction() -> None:
    t = np.linspace(-1.0, 1.0, 50)
    found = principal_components(np.stack([t, -3.0 * t], 1))
    assert found.explained == pytest.approx([1.0, 0.0])
    assert np.abs(found.loadings[0]) == pytest.approx([np.sqrt(0.5)] * 2)
    assert found.loadings[0, 0] * found.loadings[0, 1] < 0.0


def test_units_do_not_matter() -> None:
    """Metres or millimetres: numbers are standardised first."""
    points = np.random.default_rng(0).standard_normal((100, 3)) @ np.array(
        [[1.0, 0.5, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 1.0]]
    )
    one = principal_components(points)
    other = principal_components(points * [1.0, 1000.0, 1e-3] + 7.0)
    assert one.scores == pytest.approx(other.scores, abs=1e-8)
    assert one.explained == pytest.approx(other.explained)


@given(st.integers(0, 1000), st.integers(2, 20), st.integers(1, 6))
def test_it_agrees_with_the_eigenvectors_of_the_correlations(
    seed: int, count: int, width: int
) -> None:
    points = np.random.default_rng(seed).standard_normal((count, width))
    found = principal_components(points, 2)
    scaled = (points - points.mean(0)) / points.std(0)
    values = np.sort(np.linalg.eigvalsh(scaled.T @ scaled / count))[::-1]
    kept = min(2, width, count)
    assert found.explained[:kept] == pytest.approx((values / values.sum())[:kept], abs=1e-9)
    assert found.scores[:, :kept] == pytest.approx(scaled @ found.loadings[:kept].T, abs=1e-8)
    assert (found.explained[0] + 1e-12 >= found.explained).all()


def test_constant_numbers_are_left_out() -> None:
    found = principal_components(np.full((10, 4), 3.3))
    assert not found.scores.any()
    assert not found.explained.any()


def test_the_largest_entry_of_a_direction_is_positive() -> None:
    points = np.random.default_rng(3).standard_normal((40, 5))
    for sign in (1.0, -1.0):
        loadings = principal_components(sign * points).loadings
        assert all(row[np.abs(row).argmax()] > 0.0 for row in loadings)


def test_what_is_no_cloud_is_refused() -> None:
    for wrong in (np.zeros(3), np.zeros((0, 2)), np.zeros((2, 0))):
        with pytest.raises(ShapeError):
            principal_components(wrong)
    with pytest.raises(NotFiniteError):
        principal_components(np.array([[np.nan, 1.0]]))
