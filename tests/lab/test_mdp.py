"""Mdps are checked when they are made; discounting is a chance to end."""

from dataclasses import replace

import numpy as np
import pytest

from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.lab import mdp as module
from rldistill.lab.mdp import END, check_memory, discounted, from_tables, states_without_end
from rldistill.lab.solve import values
from rldistill.lab.worlds import random_mdp


def small():
    return random_mdp(np.random.default_rng(0), 3, 2)


def test_dense_tables_come_back():
    rng = np.random.default_rng(1)
    transitions = 0.8 * rng.dirichlet(np.ones(3), size=(3, 2))
    rewards = rng.standard_normal((3, 2))
    mdp = from_tables("t", np.array([1.0, 0.0, 0.0]), transitions, rewards)
    np.testing.assert_allclose(mdp.transitions, transitions, atol=1e-15)
    np.testing.assert_allclose(mdp.mean_rewards, rewards, atol=1e-15)
    np.testing.assert_allclose(mdp.ends, 0.2, atol=1e-15)


def test_outcomes_that_lead_to_the_same_state_add_up():
    mdp = module.Mdp(
        name="m",
        start=np.ones(1),
        successors=np.array([[[0, 0, END]]]),
        chances=np.array([[[0.25, 0.5, 0.25]]]),
        rewards=np.array([[[4.0, 0.0, 8.0]]]),
        effects=np.zeros(1, dtype=np.int64),
    )
    assert mdp.transitions.tolist() == [[[0.75]]]
    assert mdp.ends.tolist() == [[0.25]]
    assert mdp.mean_rewards.tolist() == [[3.0]]


def test_discounting_is_a_chance_to_end():
    """Values of discounted(mdp, gamma) solve V = r + gamma P V."""
    mdp, gamma = small(), 0.7
    policy = np.full((3, 2), 0.5)
    steps = mdp.transitions.mean(axis=1)
    expected = np.linalg.solve(np.eye(3) - gamma * steps, mdp.mean_rewards.mean(axis=1))
    np.testing.assert_allclose(values(discounted(mdp, gamma), policy), expected, atol=1e-12)
    np.testing.assert_allclose(values(discounted(mdp, 1.0), policy), values(mdp, policy))


def test_discounting_ends_a_world_without_end():
    loop = np.ones((1, 1, 1))
    with pytest.raises(SettingError, match="never ends from state 0"):
        from_tables("loop", np.ones(1), loop, np.ones((1, 1)))


@pytest.mark.parametrize("gamma", [0.0, 1.1, -1.0, float("nan")])
def test_a_gamma_that_is_none_is_refused(gamma):
    with pytest.raises(SettingError, match="gamma"):
        discounted(small(), gamma)


def with_entry(table, value):
    changed = table.copy()
    changed.flat[0] = value
    return changed


@pytest.mark.parametrize(
    ("field", "change", "error", "message"),
    [
        ("rewards", lambda x: with_entry(x, np.nan), NotFiniteError, "rewards must be finite"),
        ("rewards", lambda x: with_entry(x, np.inf), NotFiniteError, "rewards must be finite"),
        ("rewards", lambda x: x[:, :1], ShapeError, "rewards must have the shape"),
        ("chances", lambda x: with_entry(x, -0.1), SettingError, "must be probabilities"),
        ("chances", lambda x: with_entry(x, np.nan), SettingError, "must be probabilities"),
        ("chances", lambda x: x * 0.9, SettingError, "sum to 1"),
        ("start", lambda x: x * 2, SettingError, "start must sum to 1"),
        ("start", lambda x: x[:2], ShapeError, "start has 2 states"),
        ("start", lambda x: x[None], ShapeError, r"start must be \[S\]"),
        ("successors", lambda x: x + 7, SettingError, "successors must lie in"),
        ("successors", lambda x: x - 1, SettingError, "successors must lie in"),
        ("effects", lambda x: x + 1, SettingError, "effects must lie in"),
        ("effects", lambda x: x[:0], ShapeError, "there must be a state, an action"),
    ],
)
def test_damaged_mdps_are_refused(field, change, error, message):
    mdp = small()
    with pytest.raises(error, match=message):
        replace(mdp, **{field: change(getattr(mdp, field))})


@pytest.mark.parametrize(
    ("transitions", "rewards", "message"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 3)), "transitions must be"),
        (np.zeros((2, 3, 2)), np.zeros((2, 4)), "rewards must be"),
    ],
)
def test_tables_of_other_shapes_are_refused(transitions, rewards, message):
    with pytest.raises(ShapeError, match=message):
        from_tables("t", np.array([0.5, 0.5]), transitions, rewards)


def test_more_than_certain_is_refused():
    with pytest.raises(SettingError, match="probabilities"):
        from_tables("t", np.ones(1), np.full((1, 1, 1), 1.5), np.zeros((1, 1)))


def test_more_states_than_memory_allows_is_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(module, "memory_limit", lambda: 100_000)
    with pytest.raises(SettingError, match="make the world smaller"):
        random_mdp(np.random.default_rng(0), 100, 4)
    random_mdp(np.random.default_rng(0), 5, 3)


def test_the_memory_that_is_counted_is_not_less_than_what_is_used():
    with pytest.raises(SettingError, match="2,000,000 states"):
        check_memory("m", 2_000_000, 4, 4)
    assert module.memory_limit() > 2**28


def test_states_without_end_by_hand():
    """0 -> 1 -> end; 2 <-> 3 for ever."""
    steps = np.zeros((4, 4))
    steps[0, 1] = steps[2, 3] = steps[3, 2] = 1.0
    ends = np.array([0.0, 0.5, 0.0, 0.0])
    assert states_without_end(steps, ends).tolist() == [False, False, True, True]
