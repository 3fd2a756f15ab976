"""Is an update the gradient of anything, and where does following it lead?

Everything here takes a callable theta [P] -> update [P], whoever wrote it. An update that is the
gradient of a twice differentiable function has a symmetric Jacobian, and does no work around a
closed loop; one asymmetric Jacobian shows that there is no such function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.lab.mdp import FloatArray, IntArray

Update: TypeAlias = Callable[[FloatArray], FloatArray]

# Central differences at h and h / 2, extrapolated: the error is of order h^4 (about 1e-13) plus
# rounding (about 1e-13 of the update's size). An asymmetry above TOLERANCE is not an error of it.
STEP = 2e-3
TOLERANCE = 1e-8


def jacobian(
    update: Update, theta: FloatArray, coordinates: IntArray | None = None, step: float = STEP
) -> FloatArray:
    """J[i, j] = d update_i / d theta_j by extrapolated central differences.

    Args:
        update: theta [P] -> [P], smooth around theta.
        theta: [P].
        coordinates: [C] which rows and columns to compute; all by default.
        step: h, in units of theta.

    Returns:
        [C, C].

    Raises:
        ShapeError: the update has another shape than theta.
        NotFiniteError: the update is NaN or infinite near theta.

    >>> jacobian(lambda x: np.array([x[1], -x[0]]), np.zeros(2)).round(6).tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    """
    chosen = np.arange(theta.size) if coordinates is None else coordinates
    result = np.empty((chosen.size, chosen.size))
    for column, coordinate in enumerate(chosen):
        coarse, fine = (
            central_difference(update, theta, int(coordinate), width)[chosen]
            for width in (step, step / 2)
        )
        result[:, column] = (4 * fine - coarse) / 3
    return result


def central_difference(
    update: Update, theta: FloatArray, coordinate: int, width: float
) -> FloatArray:
    """(update(theta + h e) - update(theta - h e)) / 2h [P].

    Raises:
        ShapeError, NotFiniteError: as checked.
    """
    ahead, behind = theta.copy(), theta.copy()
    ahead[coordinate] += width
    behind[coordinate] -= width
    return (checked(update, ahead) - checked(update, behind)) / (2 * width)


def checked(update: Update, theta: FloatArray) -> FloatArray:
    """update(theta), if it is finite and of theta's shape.

    Raises:
        ShapeError: it has another shape.
        NotFiniteError: it holds NaN or infinity.
    """
    value = np.asarray(update(theta), dtype=np.float64)
    if value.shape != theta.shape:
        raise ShapeError(f"the update must have theta's shape {theta.shape}, got {value.shape}")
    if not np.isfinite(value).all():
        raise NotFiniteError("the update is NaN or infinite at a parameter point; is it defined?")
    return value


def asymmetry(matrix: FloatArray) -> float:
    """max |J - J^T|; 0 for a gradient.

    >>> asymmetry(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    2.0
    """
    return float(np.abs(matrix - matrix.T).max())


@final
@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Evidence:
    """Whether an update is a gradient, and what shows it.

    Attributes:
        is_gradient: asymmetry is at most tolerance.
        asymmetry: max |J - J^T| over the sampled points and coordinates.
        tolerance: TOLERANCE times the largest |J|, at least TOLERANCE.
        largest: max |J|.
        theta: [P] the point of the largest asymmetry.
        pair: its coordinates i, j.
        slopes: d update_i / d theta_j and d update_j / d theta_i there.
        work: around a circle in the plane of the pair about theta, of radius 0.5.
        num_points: sampled points.
        num_coordinates: coordinates of each, of P.
    """

    is_gradient: bool
    asymmetry: float
    tolerance: float
    largest: float
    theta: FloatArray
    pair: tuple[int, int]
    slopes: tuple[float, float]
    work: float
    num_points: int
    num_coordinates: int


def examine(update: Update, points: FloatArray, max_coordinates: int = 60) -> Evidence:
    """Look for an asymmetric Jacobian at some parameter points.

    Where there are more parameters than max_coordinates, those are looked at in which the update is
    largest: an asymmetry among them is proof; symmetry among them is evidence.

    Args:
        update: theta [P] -> [P].
        points: [N, P].
        max_coordinates: of theta, per point.

    Raises:
        ShapeError: points are not [N, P], or the update has another shape than theta.
        SettingError: max_coordinates is below 1.
        NotFiniteError: the update is NaN or infinite near a point.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), theorem 1, argues with the same symmetry.
    """
    if points.ndim != 2 or not points.size:
        raise ShapeError(f"points must be [N, P] with N, P of at least 1, got {points.shape}")
    count = min(max_coordinates, points.shape[1])
    if count < 1:
        raise SettingError(f"max_coordinates must be at least 1, got {max_coordinates}")
    worst, largest = -1.0, 0.0
    theta, pair, slopes = points[0], (0, 0), (0.0, 0.0)
    for point in points:
        strongest = np.argsort(-np.abs(checked(update, point)), kind="stable")
        chosen = np.sort(strongest[:count])
        matrix = jacobian(update, point, chosen)
        largest = max(largest, float(np.abs(matrix).max()))
        if asymmetry(matrix) > worst:
            worst, theta = asymmetry(matrix), point
            row, column = np.unravel_index(np.abs(matrix - matrix.T).argmax(), matrix.shape)
            pair = (int(chosen[row]), int(chosen[column]))
            slopes = (float(matrix[row, column]), float(matrix[column, row]))
    tolerance = TOLERANCE * max(1.0, largest)
    return Evidence(
        is_gradient=worst <= tolerance,
        asymmetry=worst,
        tolerance=tolerance,
        largest=largest,
        theta=theta,
        pair=pair,
        slopes=slopes,
        work=work_around(update, theta, pair),
        num_points=len(points),
        num_coordinates=count,
    )


def work_around(
    update: Update, theta: FloatArray, pair: tuple[int, int], radius: float = 0.5
) -> float:
    """The integral of update . d theta around a circle; 0 for a gradient (Stokes).

    By the trapezoid rule on 48 points, which converges faster than any power of their number for
    smooth updates.

    Args:
        update: theta [P] -> [P].
        theta: [P] the centre.
        pair: the two coordinates that span the circle; equal ones span none.
        radius: in units of theta.

    Raises:
        ShapeError, NotFiniteError: as checked.

    >>> round(work_around(lambda x: np.array([-x[1], x[0]]), np.zeros(2), (0, 1), 1.0), 6)
    6.283185
    """
    first, second = pair
    if first == second:
        return 0.0
    total, num_points = 0.0, 48
    for angle in np.linspace(0.0, 2 * np.pi, num_points, endpoint=False):
        point = theta.copy()
        point[first] += radius * np.cos(angle)
        point[second] += radius * np.sin(angle)
        value = checked(update, point)
        total += radius * (value[second] * np.cos(angle) - value[first] * np.sin(angle))
    return float(total * 2 * np.pi / num_points)
