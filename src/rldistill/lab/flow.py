"""Following an update as a flow: d theta / dt = update(theta). Cycles, fixed points, invariants."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from rldistill.errors import SettingError
from rldistill.lab.field import Update, checked, jacobian
from rldistill.lab.mdp import FloatArray

# An update of at most this size is taken for 0.
STILL = 1e-10


def runge_kutta(update: Update, theta: FloatArray, dt: float, num_steps: int) -> FloatArray:
    """Follow d theta / dt = update(theta) by the classical fourth-order rule.

    Args:
        update: theta [P] -> [P].
        theta: [P] where to start.
        dt: time per step; time is learning rate times number of updates.
        num_steps: N.

    Returns:
        [N + 1, P], the start first.

    >>> path = runge_kutta(lambda x: -x, np.ones(1), dt=0.1, num_steps=10)
    >>> bool(abs(path[-1, 0] - np.exp(-1.0)) < 1e-6)
    True
    """
    if dt <= 0 or num_steps < 1:
        raise SettingError(f"dt and num_steps must be above 0, got {dt} and {num_steps}")
    path = np.empty((num_steps + 1, theta.size))
    path[0] = theta
    for step in range(num_steps):
        here = path[step]
        k1 = checked(update, here)
        k2 = checked(update, here + dt / 2 * k1)
        k3 = checked(update, here + dt / 2 * k2)
        k4 = checked(update, here + dt * k3)
        path[step + 1] = here + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


def drift(quantity: Callable[[FloatArray], float], path: FloatArray) -> float:
    """max over the path of |q(theta) - q(start)| / |q(start)|: 0 for a conserved quantity.

    Relative to 1 where the quantity starts at 0.
    """
    measured = np.array([quantity(theta) for theta in path])
    return float(np.abs(measured - measured[0]).max() / (abs(measured[0]) or 1.0))


def figure2_invariant(theta: FloatArray) -> float:
    """1 / (p (1 - p)) + 1 / (q (1 - q)) with p = sigmoid(a), q = sigmoid(b).

    Kept by on-policy distillation plus reward with the loss of Fig. 2 in the counterexample: its
    orbits are closed. With 1 / (p (1 - p)) = 2 + 2 cosh(a).
    """
    return float((2 + 2 * np.cosh(theta)).sum())


@final
@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Outcome:
    """Where following an update led.

    Attributes:
        kind: "cycle" (it came back), "fixed point" (it stands still), "moving" (neither, in the
            time given: it may go to a boundary of the simplex, which takes for ever).
        time: period of the cycle, or time until it stood still, or time followed.
        theta: [P] where it was then.
        speed: |update| there (the largest entry).
    """

    kind: str
    time: float
    theta: FloatArray
    speed: float


def follow(update: Update, theta: FloatArray, dt: float, max_time: float) -> Outcome:
    """Follow an update until it stands still, comes back to where it was, or time is up.

    A return is a second passage, in the same direction, through the plane across the start, close
    to it (a hundredth of how far away it has been, at most).
    """
    first = checked(update, theta)
    here, furthest = theta, 0.0
    if np.abs(first).max() <= STILL:
        return Outcome(kind="fixed point", time=0.0, theta=here, speed=float(np.abs(first).max()))
    num_steps = max(1, round(max_time / dt))
    for step in range(num_steps):
        ahead = runge_kutta(update, here, dt, 1)[1]
        before, after = float((here - theta) @ first), float((ahead - theta) @ first)
        furthest = max(furthest, float(np.linalg.norm(ahead - theta)))
        if step > 0 and before < 0 <= after:
            share = before / (before - after)
            crossing = here + share * (ahead - here)
            if np.linalg.norm(crossing - theta) < 0.01 * furthest:
                speed = float(np.abs(first).max())
                return Outcome(kind="cycle", time=(step + share) * dt, theta=crossing, speed=speed)
        here = ahead
        speed = float(np.abs(checked(update, here)).max())
        if speed <= STILL:
            return Outcome(kind="fixed point", time=(step + 1) * dt, theta=here, speed=speed)
    speed = float(np.abs(checked(update, here)).max())
    return Outcome(kind="moving", time=num_steps * dt, theta=here, speed=speed)


@final
@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class FixedPoint:
    """A point where the update vanishes.

    Attributes:
        theta: [P].
        eigenvalues: [P] complex, of the Jacobian there, by falling real part.
        kind: "attracting" (no eigenvalue with a positive real part, some with a negative one),
            "repelling", "saddle", or "centre" (all real parts 0: it is circled).
    """

    theta: FloatArray
    eigenvalues: np.ndarray
    kind: str


def find_fixed_point(update: Update, theta: FloatArray, max_steps: int = 100) -> FixedPoint | None:
    """A root of the update near theta, by Newton's method, or None where it finds none.

    Steps are least-squares solutions: a softmax has directions that change nothing.
    """
    here = theta
    for _ in range(max_steps):
        value = checked(update, here)
        if np.abs(value).max() <= STILL:
            return classified(update, here)
        step = np.linalg.lstsq(jacobian(update, here), -value, rcond=1e-10)[0]
        # A long step leaves the region in which the linear model says anything.
        here = here + step * min(1.0, 1.0 / (np.linalg.norm(step) or 1.0))
    return None


def classified(update: Update, theta: FloatArray) -> FixedPoint:
    """Name a fixed point by the eigenvalues of the Jacobian there."""
    found = np.linalg.eigvals(jacobian(update, theta))
    eigenvalues = found[np.argsort(-found.real)]
    grows = bool((eigenvalues.real > 1e-7).any())
    shrinks = bool((eigenvalues.real < -1e-7).any())
    if grows:
        kind = "saddle" if shrinks else "repelling"
    else:
        kind = "attracting" if shrinks else "centre"
    return FixedPoint(theta=theta, eigenvalues=eigenvalues, kind=kind)
