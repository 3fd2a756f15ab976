"""Following updates: cycles, fixed points, what is conserved; and the propositions of the paper."""

from dataclasses import replace

import numpy as np
import pytest

from rldistill.errors import SettingError
from rldistill.lab.exact import Problem, exact_update
from rldistill.lab.flow import drift, figure2_invariant, find_fixed_point, follow, runge_kutta
from rldistill.lab.mdp import from_tables
from rldistill.lab.solve import expected_return, soft_policy, value_iteration, values, visits
from rldistill.lab.student import CrossEntropy, Student
from rldistill.lab.worlds import figure2_loss, make_world, random_mdp

START = np.full(2, np.log(0.1 / 0.9))  # p = q = 0.1


def figure2_update(name):
    problem = make_world("counterexample")
    return exact_update(name, replace(problem, loss=figure2_loss(problem)))


def random_problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 4, 3)
    return Problem(mdp=mdp, teacher=rng.dirichlet(np.ones(3), size=4), student=Student(4, 3))


def descend(update, theta, rate, num_steps):
    """Plain Euler steps: where the propositions speak of convergence, the path does not matter."""
    for _ in range(num_steps):
        theta = theta + rate * update(theta)
    return theta


def test_on_policy_distillation_plus_reward_conserves_its_invariant():
    """1 / (p(1-p)) + 1 / (q(1-q)) is constant: drift below 1e-9 over a whole period."""
    path = runge_kutta(figure2_update("on-policy-distill+R"), START, dt=0.1, num_steps=1240)
    assert drift(figure2_invariant, path) < 1e-9
    assert np.abs(path[600] - START).max() > 1.0


def test_the_invariant_by_hand():
    """p = 1/2 and q = 1/4: 4 + 16/3."""
    assert figure2_invariant(np.log([1.0, 1 / 3])) == pytest.approx(4 + 16 / 3)


def test_euler_steps_do_not_conserve_it():
    """Plain gradient steps spiral outward: the invariant test can fail."""
    update = figure2_update("on-policy-distill+R")
    theta = descend(update, START, 0.5, 500)
    assert figure2_invariant(theta) > 1.01 * figure2_invariant(START)


def test_on_policy_distillation_plus_reward_goes_round_in_124_units_of_time():
    outcome = follow(figure2_update("on-policy-distill+R"), START, dt=0.2, max_time=300)
    assert outcome.kind == "cycle"
    assert outcome.time == pytest.approx(124.0, abs=0.1)
    np.testing.assert_allclose(outcome.theta, START, atol=1e-4)


def test_n_distillation_plus_reward_reaches_the_teacher():
    """(p, q) -> (1, 1), and E[l] -> -4."""
    outcome = follow(figure2_update("n-distill+R"), START, dt=1.0, max_time=1000)
    p, q = 1 / (1 + np.exp(-outcome.theta))
    assert outcome.kind == "moving"
    assert p > 0.998
    assert q > 0.998
    assert -4 * p * q < -3.99


@pytest.mark.parametrize("start", [(0.1, 0.1), (0.9, 0.1), (0.2, 0.8)])
def test_n_distillation_plus_reward_comes_ever_closer_from_elsewhere(start):
    """What is missing to (1, 1) shrinks with time: it is the limit, and no stop on the way."""
    theta = np.log(np.array(start) / (1 - np.array(start)))
    path = runge_kutta(figure2_update("n-distill+R"), theta, dt=2.0, num_steps=1000)
    missing = 1 / (1 + np.exp(path[[500, 1000]]))
    assert (missing[0] < 2e-3).all()
    assert (missing[1] < 0.6 * missing[0]).all()


def test_the_cycle_goes_round_a_centre():
    """The fixed point is p = q = 1/2, with eigenvalues +-i/8."""
    found = find_fixed_point(figure2_update("on-policy-distill+R"), np.array([0.5, -0.4]))
    assert found is not None
    assert found.kind == "centre"
    np.testing.assert_allclose(found.theta, 0.0, atol=1e-8)
    np.testing.assert_allclose(sorted(found.eigenvalues.imag), [-0.125, 0.125], atol=1e-9)


def test_the_teacher_is_an_attracting_fixed_point_of_teacher_distillation():
    problem = random_problem(0)
    found = find_fixed_point(exact_update("teacher-distill", problem), np.zeros(12))
    assert found is not None
    assert found.kind == "attracting"
    np.testing.assert_allclose(problem.student.policy(found.theta), problem.teacher, atol=1e-8)


@pytest.mark.parametrize(
    ("signs", "kind"), [((1, 1), "repelling"), ((1, -1), "saddle"), ((-1, -1), "attracting")]
)
def test_fixed_points_are_named_by_their_eigenvalues(signs, kind):
    found = find_fixed_point(lambda x: np.array(signs) * (x - 0.3), np.zeros(2))
    assert found is not None
    assert found.kind == kind


def test_no_fixed_point_is_no_answer():
    assert find_fixed_point(lambda x: 1.0 + x**2, np.ones(1), max_steps=20) is None


def test_following_to_a_fixed_point():
    outcome = follow(lambda x: -x, np.ones(3), dt=0.5, max_time=100)
    assert outcome.kind == "fixed point"
    assert outcome.time == pytest.approx(np.log(1e10), abs=1.0)
    assert follow(lambda x: 0 * x, np.ones(1), dt=0.1, max_time=1).time == 0.0


def test_a_circle_has_the_period_2_pi():
    outcome = follow(lambda x: np.array([-x[1], x[0]]), np.array([1.0, 0.0]), 0.01, 10.0)
    assert outcome.kind == "cycle"
    assert outcome.time == pytest.approx(2 * np.pi, abs=1e-3)


def test_a_spiral_is_no_cycle():
    outcome = follow(
        lambda x: np.array([-x[1] - 0.1 * x[0], x[0] - 0.1 * x[1]]),
        np.array([1.0, 0.0]),
        0.01,
        10.0,
    )
    assert outcome.kind == "moving"


def test_bad_steps_are_refused():
    with pytest.raises(SettingError, match="dt"):
        runge_kutta(lambda x: x, np.ones(1), dt=0.0, num_steps=1)


@pytest.mark.parametrize("seed", range(20))
def test_proposition_1_reaches_the_teacher_where_the_teacher_goes(seed):
    """On-policy distillation converges to the teacher on every state the teacher reaches."""
    rng = np.random.default_rng(seed)
    num_states, num_actions = 5, 3
    # The teacher never takes action 0, and action 0 alone leads to the last state.
    transitions = np.zeros((num_states, num_actions, num_states))
    transitions[:-1, 1:, :-1] = 0.7 * rng.dirichlet(np.ones(4), size=(4, 2))
    transitions[:-1, 0, -1] = 0.7
    start = np.append(rng.dirichlet(np.ones(4)), 0.0)
    mdp = from_tables("reach", start, transitions, rng.standard_normal((5, 3)))
    teacher = np.zeros((5, 3))
    teacher[:, 1] = rng.uniform(0.2, 0.8, size=5)
    teacher[:, 2] = 1.0 - teacher[:, 1]
    problem = Problem(mdp=mdp, teacher=teacher, student=Student(5, 3))
    theta = rng.standard_normal(15)
    update = exact_update("on-policy-distill", problem)
    theta = descend(update, theta, 1.0, 1500)
    reached = visits(mdp, teacher) > 0
    assert reached.sum() == 4
    gap = np.abs(problem.student.policy(theta) - teacher)[reached]
    assert gap.max() < 1e-2


@pytest.mark.parametrize("seed", range(20))
def test_proposition_1_the_update_never_opposes_teacher_distillation(seed):
    """<g, g*> >= 0, where g* weighs the same slopes with the teacher's visits."""
    problem = random_problem(seed)
    theta = np.random.default_rng(seed).standard_normal(12)
    on_policy = exact_update("on-policy-distill", problem)(theta)
    assert on_policy @ exact_update("teacher-distill", problem)(theta) >= 0


@pytest.mark.parametrize("seed", range(20))
def test_proposition_2_the_gate_ends_at_least_as_good_as_the_teacher(seed):
    """Where the gated loss is at most H(pi) in every state, the student is as good as pi."""
    problem = random_problem(seed)
    rng = np.random.default_rng(seed)
    if seed % 2:  # a good teacher, too
        table = value_iteration(problem.mdp).action_values
        problem = replace(problem, teacher=soft_policy(table, 0.5))
    theta = descend(exact_update("value-gated", problem), rng.standard_normal(12), 2.0, 1500)
    log_policy = problem.student.log_policy(theta)
    policy = np.exp(log_policy)
    is_open = problem.value_of_teacher > values(problem.mdp, policy)
    loss = CrossEntropy(problem.teacher).value(log_policy) * is_open
    entropy = -(problem.teacher * np.log(problem.teacher)).sum(axis=1)
    assert (loss <= entropy + 1e-3).all()  # the premise
    teacher = expected_return(problem.mdp, problem.teacher)
    assert expected_return(problem.mdp, policy) >= teacher - 5e-3


@pytest.mark.parametrize("seed", range(20))
def test_proposition_3_the_teachers_bootstrap_ends_at_least_as_good_as_the_teacher(seed):
    """TD + V_pi is one step of policy improvement over the teacher."""
    problem = random_problem(seed)
    theta = descend(exact_update("td-teacher-v", problem), np.zeros(12), 5.0, 1500)
    policy = problem.student.policy(theta)
    own = expected_return(problem.mdp, policy)
    assert own >= expected_return(problem.mdp, problem.teacher)
    # and it goes no further: it takes what is best by the teacher's values, not by V*.
    improved = problem.student.policy(1e3 * step_table(problem))
    assert own == pytest.approx(expected_return(problem.mdp, improved), abs=0.05)


def step_table(problem: Problem) -> np.ndarray:
    """r + E[V_pi(s')] [S * A]."""
    return (problem.mdp.mean_rewards + problem.mdp.transitions @ problem.value_of_teacher).reshape(
        -1
    )
