"""Principal components: the directions in which a cloud of points is widest."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rldistill.errors import NotFiniteError, ShapeError

Matrix = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The first K principal components of points [N, F].

    Attributes:
        scores: [N, K], the points in these directions, in deviations of the standardised points.
        loadings: [K, F], the directions: unit vectors over the standardised numbers.
        explained: [K], share of the total variance along each, in [0, 1].
    """

    scores: Matrix
    loadings: Matrix
    explained: Matrix


def principal_components(points: NDArray[Any], count: int = 2) -> Components:
    """The widest directions of standardised points, by a singular value decomposition.

    Numbers that do not vary are left at 0. The sign of a direction is such that its largest entry
    is positive, so that two runs over alike points have alike pictures.

    Args:
        points: [N, F], N >= 1 and F >= 1, finite.
        count: K; directions beyond min(N, F) are 0.

    Raises:
        ShapeError: not two axes, or none along one of them.
        NotFiniteError: NaN or infinity.

    Source: Jolliffe 2002, "Principal Component Analysis", section 3.5.

    >>> found = principal_components(np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]]), 1)
    >>> found.explained.round(6).tolist(), found.loadings.tolist()
    ([1.0], [[1.0, 0.0]])
    """
    if points.ndim != 2 or 0 in points.shape:
        raise ShapeError(f"points must be [N, F] with N, F >= 1; got {points.shape}")
    values = points.astype(np.float64)
    if not np.isfinite(values).all():
        raise NotFiniteError("points must be finite")
    centred = values - values.mean(0)
    deviation = centred.std(0)
    # Rounding leaves a little deviation in numbers that are all equal.
    varies = deviation > 1e-9 * np.maximum(1.0, np.abs(values).max(0))
    scaled = np.where(varies, centred / np.where(varies, deviation, 1.0), 0.0)
    left, sizes, right = np.linalg.svd(scaled, full_matrices=False)
    kept = min(count, len(sizes))
    scores = np.zeros((len(values), count))
    loadings = np.zeros((count, values.shape[1]))
    explained = np.zeros(count)
    largest = np.abs(right[:kept]).argmax(1)
    signs = np.where(right[np.arange(kept), largest] < 0.0, -1.0, 1.0)
    scores[:, :kept] = left[:, :kept] * sizes[:kept] * signs
    loadings[:kept] = right[:kept] * signs[:, None]
    total = float((sizes**2).sum())
    explained[:kept] = sizes[:kept] ** 2 / total if total > 0.0 else 0.0
    return Components(scores, loadings, explained)
