"""Later losses as a cost: with cross-entropy N-distill leaves its teacher, with KL it does not.

The world: going on (action 0) pays 1 and leads to the next of eight states, action 1 ends the
episode at once. The teacher goes on with chance 0.8 everywhere, so that each state costs at least
its entropy of 0.5 nats, and ending is the way to pay less.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from rldistill.lab.exact import Problem, exact_update, objective
from rldistill.lab.flow import runge_kutta
from rldistill.lab.mdp import from_tables
from rldistill.lab.solve import visits
from rldistill.lab.student import Student

NUM_STATES, GOES_ON = 8, 0.8


@dataclass(frozen=True, eq=False)
class Kl:
    """KL(pi || pi_theta): the cross-entropy less the teacher's entropy, and of equal slope."""

    teacher: np.ndarray

    def value(self, log_policy: np.ndarray) -> np.ndarray:
        return (self.teacher * (np.log(self.teacher) - log_policy)).sum(axis=1)

    def slope(self, log_policy: np.ndarray) -> np.ndarray:
        return np.exp(log_policy) - self.teacher


def walk() -> Problem:
    transitions = np.zeros((NUM_STATES, 2, NUM_STATES))
    transitions[np.arange(NUM_STATES - 1), 0, np.arange(1, NUM_STATES)] = 1.0
    rewards = np.tile([1.0, 0.0], (NUM_STATES, 1))
    start = np.eye(NUM_STATES)[0]
    teacher = np.tile([GOES_ON, 1.0 - GOES_ON], (NUM_STATES, 1))
    mdp = from_tables("walk", start, transitions, rewards)
    return Problem(mdp=mdp, teacher=teacher, student=Student(NUM_STATES, 2))


def with_kl(problem: Problem) -> Problem:
    return replace(problem, loss=Kl(problem.teacher))


def length(problem: Problem, theta: np.ndarray) -> float:
    """Expected steps of an episode."""
    return float(visits(problem.mdp, problem.student.policy(theta)).sum())


def test_at_the_teacher_the_update_is_its_entropy_to_go():
    """slope of 'go on' in state s: -d(s) p (1 - p) H L(s + 1), L the teacher's steps from there."""
    problem = walk()
    teacher = np.log(problem.teacher).reshape(-1)
    found = exact_update("n-distill", problem)(teacher).reshape(-1, 2)[:, 0]
    p = GOES_ON
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    left = np.array([sum(p**k for k in range(NUM_STATES - s - 1)) for s in range(NUM_STATES)])
    expected = -(p ** np.arange(NUM_STATES)) * p * (1 - p) * entropy * left
    assert found == pytest.approx(expected, abs=1e-12)
    assert np.abs(exact_update("n-distill", with_kl(problem))(teacher)).max() < 1e-12
    assert np.abs(exact_update("on-policy-distill", problem)(teacher)).max() < 1e-12


def test_following_it_shortens_episodes_and_with_kl_does_not():
    problem = walk()
    theta = np.zeros(problem.student.num_parameters)
    teacher = np.log(problem.teacher).reshape(-1)
    costly, fair = (
        runge_kutta(exact_update("n-distill", each), theta, dt=0.25, num_steps=600)[-1]
        for each in (problem, with_kl(problem))
    )
    assert length(problem, costly) < 0.6 * length(problem, teacher)
    assert length(problem, fair) == pytest.approx(length(problem, teacher), rel=0.05)


def test_the_shorter_student_is_better_by_the_row_s_own_objective():
    """It is no failure of the optimiser: the objective prefers it to the teacher itself."""
    problem = walk()
    goal = objective("n-distill", problem)
    path = runge_kutta(exact_update("n-distill", problem), np.zeros(16), dt=0.25, num_steps=400)
    assert goal(path[-1]) > goal(np.log(problem.teacher).reshape(-1)) + 0.1
