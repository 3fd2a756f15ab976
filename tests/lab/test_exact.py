"""Every exact update against its objective, and against a plain listing of all trajectories."""

from dataclasses import replace

import numpy as np
import pytest
import trajectories

from rldistill.errors import SettingError, ShapeError
from rldistill.lab.exact import Problem, exact_update, objective, step_credit
from rldistill.lab.field import jacobian
from rldistill.lab.mdp import Mdp, from_tables
from rldistill.lab.rows import ROWS, get_row
from rldistill.lab.solve import optimal_advantages, value_iteration
from rldistill.lab.student import Student
from rldistill.lab.worlds import figure2_loss, make_world, pad_with_copies, random_mdp

GRADIENTS = [name for name, row in ROWS.items() if row.is_gradient]
WITH_LOSS = [name for name, row in ROWS.items() if row.has_loss]


def layered(seed: int) -> Problem:
    """Five states in three layers, so that every episode ends within three steps."""
    rng = np.random.default_rng(seed)
    transitions = np.zeros((5, 2, 5))
    transitions[0, :, 1:3] = 0.9 * rng.dirichlet(np.ones(2), size=2)
    transitions[1:3, :, 3:5] = 0.8 * rng.dirichlet(np.ones(2), size=(2, 2))
    start = np.array([0.7, 0.3, 0.0, 0.0, 0.0])
    mdp = from_tables("layered", start, transitions, rng.standard_normal((5, 2)))
    return Problem(mdp=mdp, teacher=rng.dirichlet(np.ones(2), size=5), student=Student(5, 2))


def random_problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 4, 3)
    return Problem(mdp=mdp, teacher=rng.dirichlet(np.ones(3), size=4), student=Student(4, 3))


def point(problem: Problem, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(problem.student.num_parameters)


@pytest.mark.parametrize("name", ROWS)
def test_update_equals_a_listing_of_all_trajectories(name):
    largest = 0.0
    for problem in (layered(1), make_world("counterexample")):
        theta = point(problem)
        expected = trajectories.expected_update(name, problem, theta)
        largest = max(largest, np.abs(expected).max())
        np.testing.assert_allclose(exact_update(name, problem)(theta), expected, atol=1e-8)
    assert largest > 1e-2


@pytest.mark.parametrize("name", WITH_LOSS)
def test_update_with_the_loss_of_figure_2_equals_a_listing(name):
    problem = make_world("counterexample")
    problem = replace(problem, loss=figure2_loss(problem))
    theta = point(problem)
    expected = trajectories.expected_update(name, problem, theta)
    np.testing.assert_allclose(exact_update(name, problem)(theta), expected, atol=1e-8)


@pytest.mark.parametrize("name", ["n-distill+R", "value-gated", "td-teacher-v"])
def test_update_of_a_padded_world_equals_a_listing(name):
    """Five actions with two effects: the tables by effect must not mix up the actions."""
    base = layered(2)
    teacher = np.random.default_rng(3).dirichlet(np.ones(5), size=5)
    mdp = pad_with_copies(base.mdp, 5)
    problem = Problem(mdp=mdp, teacher=teacher, student=Student(5, 5))
    theta = point(problem)
    expected = trajectories.expected_update(name, problem, theta)
    np.testing.assert_allclose(exact_update(name, problem)(theta), expected, atol=1e-8)


@pytest.mark.parametrize("name", GRADIENTS)
def test_update_is_the_gradient_of_the_objective(name):
    """Central differences of the objective of Table 1, on worlds with loops."""
    for problem in (random_problem(0), random_problem(1), make_world("counterexample")):
        theta = point(problem)
        slope = trajectories.slopes(objective(name, problem), theta)
        np.testing.assert_allclose(exact_update(name, problem)(theta), slope, atol=2e-8)


@pytest.mark.parametrize("name", ["n-distill", "n-distill+R", "teacher-distill"])
def test_objective_with_another_loss(name):
    problem = make_world("counterexample")
    problem = replace(problem, loss=figure2_loss(problem))
    theta = point(problem)
    slope = trajectories.slopes(objective(name, problem), theta)
    np.testing.assert_allclose(exact_update(name, problem)(theta), slope, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "sign", "terms"),
    [
        ("entropy-regularised", 1, lambda pi, own: np.log(pi)),
        ("kl-regularised", 1, lambda pi, own: np.log(pi) - np.log(own)),
        ("exp-entropy-regularised", 1, lambda pi, own: np.log(pi)),
    ],
)
def test_objective_equals_a_listing(name, sign, terms):
    """E_pi_theta[sum_t log pi(a_t)] and its relatives, summed over every trajectory."""
    problem = layered(4)
    theta = point(problem)
    own = trajectories.policy_of(problem, theta)
    table = terms(problem.teacher, own)
    listed = sum(
        chance * sum(table[state, action] for state, action, _, _ in trajectory)
        for chance, trajectory in trajectories.trajectories(problem, own)
    )
    assert objective(name, problem)(theta) == pytest.approx(sign * listed, abs=1e-10)


@pytest.mark.parametrize("plus", ["", "+R"])
def test_expected_entropy_is_entropy_regularised_in_expectation(plus):
    for seed in range(5):
        problem = random_problem(seed)
        first = exact_update(f"entropy-regularised{plus}", problem)(point(problem))
        second = exact_update(f"exp-entropy-regularised{plus}", problem)(point(problem))
        np.testing.assert_allclose(first, second, atol=1e-12)


def test_teacher_v_reward_is_the_policy_gradient_in_expectation():
    """The values telescope to -V_pi(s_1), which no action can change."""
    for seed in range(5):
        problem = random_problem(seed)
        first = exact_update("teacher-v-reward", problem)(point(problem))
        np.testing.assert_allclose(
            first, exact_update("baseline", problem)(point(problem)), atol=1e-12
        )


def test_the_printed_teacher_v_reward_is_not_the_policy_gradient():
    """Table 1 prints V_pi_theta(s_t) where V_pi(s_t) is meant: that does not telescope."""
    problem = layered(1)
    theta = point(problem)
    own = trajectories.policy_of(problem, theta)
    scores = trajectories.slopes(lambda at: np.log(trajectories.policy_of(problem, at)), theta)
    printed = np.zeros_like(theta)
    for chance, trajectory in trajectories.trajectories(problem, own):
        terms = [
            reward
            + trajectories.value(problem, problem.teacher, nxt)
            - trajectories.value(problem, own, state)
            for state, _, reward, nxt in trajectory
        ]
        for t, (state, action, _, _) in enumerate(trajectory):
            printed += chance * sum(terms[t:]) * scores[state, action]
    assert np.abs(printed - exact_update("baseline", problem)(theta)).max() > 1e-2


def test_optimal_teacher_rewards_nothing_on_the_optimal_path_and_costs_off_it():
    """Proposition 4 with gamma = 1: r + V*(s') - V*(s) = A*(s, a)."""
    row = get_row("teacher-v-reward")
    for seed in range(20):
        problem = random_problem(seed)
        best = value_iteration(problem.mdp)
        problem = replace(problem, teacher=best.policy)
        table = step_credit(row, problem, problem.student.log_policy(point(problem)))
        np.testing.assert_allclose(table, optimal_advantages(best), atol=1e-10)
        on_path = best.policy > 0
        np.testing.assert_allclose(table[on_path], 0.0, atol=1e-10)
        assert (table[~on_path] < 0).all()


def test_teacher_v_reward_leaves_the_optimal_policy_unchanged():
    """Optimal values under r + V_pi(s') - V_pi(s) are V* - V_pi: the same policy is best."""
    row = get_row("teacher-v-reward")
    for seed in range(20):
        problem = random_problem(seed)
        table = step_credit(row, problem, problem.student.log_policy(point(problem)))
        shaped = with_rewards(problem.mdp, table)
        before, after = value_iteration(problem.mdp), value_iteration(shaped)
        np.testing.assert_array_equal(before.policy, after.policy)
        shift = problem.value_of_teacher[:, None]
        np.testing.assert_allclose(after.action_values, before.action_values - shift, atol=1e-9)


def with_rewards(mdp: Mdp, table: np.ndarray) -> Mdp:
    return from_tables("shaped", mdp.start, mdp.transitions, table)


def test_the_optimum_of_n_distillation_is_not_always_the_teacher():
    """The states that cost least are those where the teacher is sure, so that it pays to be there.

    At the teacher on-policy distillation stands still; N-distillation moves on, unless every
    action leads to states of the same cost.
    """
    problem = random_problem(0)
    at_teacher = np.log(problem.teacher).reshape(-1)
    np.testing.assert_allclose(
        exact_update("on-policy-distill", problem)(at_teacher), 0, atol=1e-12
    )
    assert np.abs(exact_update("n-distill", problem)(at_teacher)).max() > 1e-2
    np.testing.assert_allclose(exact_update("kl-regularised", problem)(at_teacher), 0, atol=1e-12)


def test_given_teacher_values_are_used():
    problem = random_problem(0)
    wrong = replace(problem, teacher_values=np.arange(4.0))
    theta = point(problem)
    for name, changes in (("td-teacher-v", True), ("value-gated", True), ("td-v0", False)):
        same = np.allclose(exact_update(name, problem)(theta), exact_update(name, wrong)(theta))
        assert same is not changes, name


def test_a_teacher_with_zero_probability_is_clamped_and_counted():
    problem = make_world("counterexample")
    problem = replace(problem, teacher=np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), floor=1e-3)
    assert problem.num_clamped == 2
    value = exact_update("entropy-regularised", problem)(np.zeros(2))
    assert np.isfinite(value).all()
    # p = q = 1/2: d/da = 1/4 (log 1e-3 - log 1), whatever comes after s0.
    later = 0.5 * (np.log(1e-3) + np.log(1.0)) - np.log(0.5)
    assert value[0] == pytest.approx(0.25 * (np.log(1e-3) + later))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("n-distil", "Did you mean n-distill"),
        ("teacher-distill+R", "teacher acts"),
        ("td-v0+R", "already; use td-v0"),
        ("teacher-v-reward+R", "already"),
        ("", "unknown method"),
    ],
)
def test_unknown_rows_are_refused(name, message):
    with pytest.raises(SettingError, match=message):
        exact_update(name, random_problem(0))


@pytest.mark.parametrize("name", ["entropy-regularised", "exp-entropy-regularised", "baseline"])
def test_a_loss_without_effect_is_refused(name):
    problem = make_world("counterexample")
    problem = replace(problem, loss=figure2_loss(problem))
    with pytest.raises(SettingError, match="would change nothing"):
        exact_update(name, problem)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if not row.is_gradient])
def test_no_objective_where_there_is_none(name):
    with pytest.raises(SettingError, match="has no objective"):
        objective(name, random_problem(0))


def test_shapes_are_checked():
    problem = random_problem(0)
    with pytest.raises(ShapeError, match="student must have"):
        replace(problem, student=Student(4, 2))
    with pytest.raises(ShapeError, match="teacher_values"):
        replace(problem, teacher_values=np.zeros(3))
    with pytest.raises(ShapeError, match="theta must be"):
        exact_update("baseline", problem)(np.zeros(3))
    with pytest.raises(SettingError, match="floor"):
        exact_update("entropy-regularised", replace(problem, floor=0.0))(np.zeros(12))


def test_adding_a_constant_to_the_logits_of_a_state_changes_nothing():
    problem = random_problem(2)
    theta = point(problem)
    shifted = (theta.reshape(4, 3) + np.arange(4.0)[:, None]).reshape(-1)
    for name in ROWS:
        update = exact_update(name, problem)
        np.testing.assert_allclose(update(theta), update(shifted), atol=1e-10)
        # and the update itself moves no constant
        np.testing.assert_allclose(update(theta).reshape(4, 3).sum(axis=1), 0.0, atol=1e-10)


def test_jacobian_of_the_gradient_rows_is_the_hessian():
    """One entry by hand: second differences of the objective."""
    problem = random_problem(3)
    theta, goal = point(problem), objective("n-distill+R", problem)
    step = 1e-4

    def at(first: float, second: float) -> float:
        moved = theta.copy()
        moved[0] += first
        moved[5] += second
        return goal(moved)

    mixed = at(step, step) - at(step, -step) - at(-step, step) + at(-step, -step)
    matrix = jacobian(exact_update("n-distill+R", problem), theta)
    assert matrix[0, 5] == pytest.approx(mixed / (4 * step**2), abs=1e-5)
