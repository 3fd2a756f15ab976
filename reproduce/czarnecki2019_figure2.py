"""Figure 2: the counterexample, followed exactly."""

from dataclasses import replace

import numpy as np
from czarnecki2019_claims import Claim, Quantity, Test
from czarnecki2019_intervals import FloatArray, exactly

from rldistill.lab.exact import exact_update
from rldistill.lab.field import Update
from rldistill.lab.flow import Outcome, drift, figure2_invariant, follow, runge_kutta
from rldistill.lab.worlds import figure2_loss, make_world

# The paper's picture shows a period of about 4,300 steps; with this learning rate it is one.
LEARNING_RATE = 0.029
NUM_STEPS = 15_000
START = np.full(2, np.log(0.1 / 0.9))
STEP = 0.1
METHODS = ("on-policy-distill+R", "n-distill+R")


def update_of(method: str) -> Update:
    """The expected update with the loss the paper draws, l = -4 pi(R | sR)."""
    problem = make_world("counterexample")
    return exact_update(method, replace(problem, loss=figure2_loss(problem)))


def path_of(method: str) -> FloatArray:
    """p = pi(R | s0) and q = pi(R | sR) along the flow [N + 1, 2], N steps of STEP."""
    num_steps = round(LEARNING_RATE * NUM_STEPS / STEP)
    return sigmoid(runge_kutta(update_of(method), START, STEP, num_steps))


def loss_of(path: FloatArray) -> FloatArray:
    """E[l] = -4 p q along a path."""
    return -4 * path[:, 0] * path[:, 1]


def sigmoid(theta: FloatArray) -> FloatArray:
    """1 / (1 + exp(-theta))."""
    return 1 / (1 + np.exp(-theta))


def cycle() -> Outcome:
    """Where on-policy distillation with reward comes back to."""
    return follow(update_of(METHODS[0]), START, dt=0.2, max_time=300)


def claims() -> list[Claim]:
    """What the paper's Figure 2 says; computed, not sampled: the intervals have no width."""
    theta = runge_kutta(update_of(METHODS[0]), START, STEP, 1240)
    back = cycle()
    away = float(np.abs(back.theta - START).max()) if back.kind == "cycle" else np.inf
    last = sigmoid(follow(update_of(METHODS[1]), START, dt=1.0, max_time=1000).theta)
    return [
        Claim(
            2,
            "On-policy distillation + R goes round for ever",
            (
                Test("distance from the start after a round", known(away), high=1e-3),
                Test("drift of the invariant", known(drift(figure2_invariant, theta)), high=1e-9),
                Test(
                    f"steps per round at learning rate {LEARNING_RATE}",
                    known(back.time / LEARNING_RATE),
                    low=4000,
                    high=4600,
                ),
            ),
        ),
        Claim(
            2,
            "N-distillation + R converges to pi(R | s0) = pi(R | sR) = 1, E[l] to -4",
            (
                Test("pi(R | s0) at time 1,000", known(float(last[0])), low=0.99),
                Test("pi(R | sR)", known(float(last[1])), low=0.99),
                Test("E[l]", known(float(-4 * last.prod())), high=-3.9),
            ),
        ),
    ]


def known(value: float) -> Quantity:
    """A quantity that needs no results."""
    return lambda results: exactly(value)
