"""Values and visits against sums over time, value iteration against trying every policy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldistill.errors import SettingError, ShapeError
from rldistill.lab.mdp import from_tables
from rldistill.lab.solve import (
    action_values,
    expected_return,
    greedy,
    soft_policy,
    step_matrix,
    value_iteration,
    values,
    visits,
)
from rldistill.lab.worlds import make_world, pad_with_copies, random_mdp


def random_case(seed, num_states=4, num_actions=3):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, num_states, num_actions)
    return mdp, rng.dirichlet(np.ones(num_actions), size=num_states)


@pytest.mark.parametrize("seed", range(5))
def test_visits_and_return_are_sums_over_time(seed):
    mdp, policy = random_case(seed)
    steps = np.einsum("sa,sat->st", policy, mdp.transitions)
    reward = (policy * mdp.mean_rewards).sum(axis=1)
    here, seen, gained = mdp.start, np.zeros(4), 0.0
    for _ in range(500):
        seen, gained = seen + here, gained + here @ reward
        here = here @ steps
    np.testing.assert_allclose(visits(mdp, policy), seen, atol=1e-12)
    assert expected_return(mdp, policy) == pytest.approx(gained, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=30)
def test_return_counts_the_same_from_visits_and_from_values(seed, num_states, num_actions):
    mdp, policy = random_case(seed, num_states, num_actions)
    from_visits = visits(mdp, policy) @ (policy * mdp.mean_rewards).sum(axis=1)
    assert expected_return(mdp, policy) == pytest.approx(from_visits, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_action_values_are_a_step_and_then_the_policy(seed):
    mdp, policy = random_case(seed)
    table = action_values(mdp, policy)
    state_values = values(mdp, policy)
    np.testing.assert_allclose((policy * table).sum(axis=1), state_values, atol=1e-12)
    expected = mdp.mean_rewards + mdp.transitions @ state_values
    np.testing.assert_allclose(table, expected, atol=1e-12)


def test_values_of_other_rewards():
    mdp, policy = random_case(0)
    ones = np.ones((4, 3))
    np.testing.assert_allclose(mdp.start @ values(mdp, policy, ones), visits(mdp, policy).sum())


@pytest.mark.parametrize("seed", range(20))
def test_value_iteration_finds_the_best_of_all_deterministic_policies(seed):
    mdp, _ = random_case(seed, 4, 3)
    best = np.full(4, -np.inf)
    for actions in itertools.product(range(3), repeat=4):
        best = np.maximum(best, values(mdp, np.eye(3)[list(actions)]))
    optimum = value_iteration(mdp)
    np.testing.assert_allclose(optimum.values, best, atol=1e-10)
    np.testing.assert_allclose(optimum.action_values.max(axis=1), best, atol=1e-10)
    np.testing.assert_allclose(values(mdp, optimum.policy), best, atol=1e-10)


def test_value_iteration_refuses_reward_without_end(monkeypatch):
    """Action 0 loops and pays, action 1 ends: there is no best value."""
    monkeypatch.setattr("rldistill.lab.solve.MAX_SWEEPS", 100)
    transitions = np.array([[[1.0], [0.0]]])
    mdp = from_tables("pump", np.ones(1), transitions, np.array([[1.0, 0.0]]))
    with pytest.raises(SettingError, match="did not settle"):
        value_iteration(mdp)


def test_a_policy_that_never_ends_is_refused():
    transitions = np.array([[[1.0], [0.0]]])
    mdp = from_tables("loop", np.ones(1), transitions, np.zeros((1, 2)))
    with pytest.raises(SettingError, match="never ends the episode"):
        visits(mdp, np.array([[1.0, 0.0]]))
    assert visits(mdp, np.array([[0.5, 0.5]])).tolist() == [2.0]


def test_padding_with_copies_changes_no_value():
    """A policy over copies is worth what the folded one is worth; a copy has the Q of its kind."""
    mdp, _ = random_case(3)
    padded = pad_with_copies(mdp, 11)
    policy = np.random.default_rng(0).dirichlet(np.ones(11), size=4)
    folded = np.stack([policy[:, kind::3].sum(axis=1) for kind in range(3)], axis=1)
    np.testing.assert_allclose(step_matrix(padded, policy), step_matrix(mdp, folded), atol=1e-14)
    np.testing.assert_allclose(values(padded, policy), values(mdp, folded), atol=1e-13)
    table = value_iteration(padded).action_values
    np.testing.assert_allclose(table, value_iteration(mdp).action_values[:, np.arange(11) % 3])


def test_soft_policy_sharpens_to_greedy():
    table = np.array([[0.0, 1.0, 0.5], [2.0, 2.0, -1.0]])
    np.testing.assert_allclose(soft_policy(table, 1e-3)[0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(soft_policy(table, 1e9), 1 / 3, atol=1e-8)
    assert soft_policy(table, 0.0).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert greedy(np.array([[1.0, 1.0 + 1e-14]])).tolist() == [[1, 0]]
    with pytest.raises(SettingError, match="temperature"):
        soft_policy(table, -1.0)


@pytest.mark.parametrize(
    ("policy", "error"),
    [(np.ones((3, 2)) / 2, ShapeError), (np.ones((3, 3)), ShapeError)],
)
def test_policies_of_other_shapes_are_refused_in_a_problem(policy, error):
    from dataclasses import replace

    with pytest.raises(error):
        replace(make_world("random"), teacher=policy)


def test_a_teacher_that_is_no_policy_is_refused():
    from dataclasses import replace

    problem = make_world("counterexample")
    with pytest.raises(SettingError, match="sum to 1"):
        replace(problem, teacher=np.ones((3, 2)))
