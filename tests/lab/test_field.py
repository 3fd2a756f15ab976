"""Which updates are gradients: the counterexample of the paper, 20 random worlds, and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.lab.exact import Problem, exact_update
from rldistill.lab.field import asymmetry, examine, jacobian, work_around
from rldistill.lab.mdp import from_tables
from rldistill.lab.rows import ROWS
from rldistill.lab.solve import soft_policy, value_iteration
from rldistill.lab.student import Student
from rldistill.lab.worlds import figure2_loss, make_world, random_mdp


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def figure2() -> Problem:
    """The counterexample with the loss that the paper draws."""
    problem = make_world("counterexample")
    return replace(problem, loss=figure2_loss(problem))


def random_problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 4, 3)
    return Problem(mdp=mdp, teacher=rng.dirichlet(np.ones(3), size=4), student=Student(4, 3))


POINTS = np.random.default_rng(0).uniform(-3, 3, size=(10, 2))


@pytest.mark.parametrize("theta", POINTS)
@pytest.mark.parametrize("plus", ["", "+R"])
def test_asymmetry_of_on_policy_distillation_in_figure_2(theta, plus):
    """4 p (1 - p) q (1 - q), with and without the reward."""
    p, q = sigmoid(theta)
    matrix = jacobian(exact_update(f"on-policy-distill{plus}", figure2()), theta)
    assert asymmetry(matrix) == pytest.approx(4 * p * (1 - p) * q * (1 - q), abs=1e-10)


@pytest.mark.parametrize("theta", POINTS)
@pytest.mark.parametrize("plus", ["", "+R"])
def test_n_distillation_is_symmetric_in_figure_2(theta, plus):
    matrix = jacobian(exact_update(f"n-distill{plus}", figure2()), theta)
    assert asymmetry(matrix) < 1e-11


@pytest.mark.parametrize("theta", POINTS)
def test_the_flow_of_figure_2_in_closed_form(theta):
    """da/dt = p(1-p)(1-2q) or p(1-p)(1+2q); db/dt = q(1-q)(2p-1) in both."""
    p, q = sigmoid(theta)
    b = q * (1 - q) * (2 * p - 1)
    on_policy = exact_update("on-policy-distill+R", figure2())(theta)
    n_distill = exact_update("n-distill+R", figure2())(theta)
    np.testing.assert_allclose(on_policy, [p * (1 - p) * (1 - 2 * q), b], atol=1e-14)
    np.testing.assert_allclose(n_distill, [p * (1 - p) * (1 + 2 * q), b], atol=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_gradients_as_marked_on_random_worlds(seed):
    """Gradients have an asymmetry below 1e-8; the others have one that can be measured."""
    problem = random_problem(seed)
    points = np.random.default_rng(seed).standard_normal((1, 12))
    for name, row in ROWS.items():
        if row.gated:
            continue
        evidence = examine(exact_update(name, problem), points)
        assert evidence.is_gradient is row.is_gradient, name
        if row.is_gradient:
            assert evidence.asymmetry < 1e-8, name
            assert abs(evidence.work) < 1e-10, name
        else:
            assert evidence.asymmetry > 1e-3, name
            assert abs(evidence.work) > 1e-3, name


@pytest.mark.parametrize("seed", range(20))
def test_the_gated_rows_are_no_gradients_where_the_gate_is_open(seed):
    """The gate needs a teacher that is better than the student somewhere: here, the best one."""
    problem = random_problem(seed)
    best = soft_policy(value_iteration(problem.mdp).action_values, 0.1)
    problem = replace(problem, teacher=best)
    points = np.random.default_rng(seed).standard_normal((1, 12))
    for name in ("value-gated", "value-gated+R"):
        evidence = examine(exact_update(name, problem), points)
        assert not evidence.is_gradient
        assert evidence.asymmetry > 1e-3


@pytest.mark.parametrize("name", ROWS)
def test_in_a_bandit_every_row_is_a_gradient(name):
    """One step: the student's choice changes no visits, so theorem 1 has nothing to say."""
    rng = np.random.default_rng(5)
    mdp = from_tables("bandit", np.ones(1), np.zeros((1, 4, 1)), rng.standard_normal((1, 4)))
    teacher = rng.dirichlet(np.ones(4), size=1)
    problem = Problem(mdp=mdp, teacher=teacher, student=Student(1, 4))
    evidence = examine(exact_update(name, problem), rng.standard_normal((3, 4)))
    assert evidence.is_gradient
    assert evidence.asymmetry < 1e-11


@pytest.mark.parametrize("name", ROWS)
def test_with_one_step_and_several_first_states_every_row_is_a_gradient(name):
    """Parameters shared between the states do not matter either: no choice changes the visits."""
    rng = np.random.default_rng(6)
    rewards = rng.standard_normal((3, 2))
    mdp = from_tables("one step", rng.dirichlet(np.ones(3)), np.zeros((3, 2, 3)), rewards)
    teacher = rng.dirichlet(np.ones(2), size=3)
    student = Student(3, 2, rng.standard_normal((3, 2, 4)))
    problem = Problem(mdp=mdp, teacher=teacher, student=student)
    evidence = examine(exact_update(name, problem), rng.standard_normal((3, 4)))
    assert evidence.is_gradient
    assert evidence.asymmetry < 1e-10


def test_jacobian_by_hand():
    """update = (x^2 y, sin x): J = [[2xy, x^2], [cos x, 0]]."""
    theta = np.array([0.7, -1.3])
    matrix = jacobian(lambda x: np.array([x[0] ** 2 * x[1], np.sin(x[0])]), theta)
    expected = [[2 * 0.7 * -1.3, 0.49], [np.cos(0.7), 0.0]]
    np.testing.assert_allclose(matrix, expected, atol=1e-11)


def test_jacobian_of_some_coordinates_is_a_block_of_the_whole():
    problem = random_problem(0)
    update, theta = exact_update("n-distill", problem), np.linspace(-1, 1, 12)
    chosen = np.array([1, 4, 11])
    whole = jacobian(update, theta)
    np.testing.assert_allclose(jacobian(update, theta, chosen), whole[np.ix_(chosen, chosen)])


def test_examine_names_the_worst_pair():
    """A rotation in the plane of coordinates 1 and 3, the rest a gradient."""

    def update(x):
        return -x + np.array([0.0, x[3], 0.0, -x[1], 0.0])

    evidence = examine(update, np.ones((2, 5)))
    assert not evidence.is_gradient
    assert evidence.pair == (1, 3)
    assert evidence.slopes == pytest.approx((1.0, -1.0))
    assert evidence.asymmetry == pytest.approx(2.0)
    assert evidence.work == pytest.approx(-2 * np.pi * 0.25)


def test_examine_looks_where_the_update_is_largest():
    """Of many coordinates those that move; the rotation is in the last two."""

    def update(x):
        result = np.zeros_like(x)
        result[-2:] = 5.0 + np.array([x[-1], -x[-2]])
        return result

    evidence = examine(update, np.zeros((1, 100)), max_coordinates=4)
    assert evidence.num_coordinates == 4
    assert evidence.pair == (98, 99)
    assert not evidence.is_gradient


def test_work_around_a_gradient_is_zero():
    assert abs(work_around(lambda x: np.cos(x) * x, np.array([0.3, 1.0]), (0, 1))) < 1e-14


def test_the_tolerance_grows_with_the_update():
    """A gradient a million times as large is still one."""
    evidence = examine(lambda x: 1e6 * np.array([np.cos(x[0]) + x[1], x[0]]), np.ones((1, 2)))
    assert evidence.is_gradient
    assert evidence.tolerance > 1e-3


@pytest.mark.parametrize(
    ("update", "error", "message"),
    [
        (lambda x: x[:1], ShapeError, "theta's shape"),
        (lambda x: x * np.nan, NotFiniteError, "NaN"),
    ],
)
def test_bad_updates_are_refused(update, error, message):
    with pytest.raises(error, match=message):
        examine(update, np.ones((1, 2)))


def test_bad_points_are_refused():
    with pytest.raises(ShapeError, match="points must be"):
        examine(lambda x: x, np.ones(2))
    with pytest.raises(SettingError, match="max_coordinates"):
        examine(lambda x: x, np.ones((1, 2)), max_coordinates=0)
