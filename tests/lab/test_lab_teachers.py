"""Teachers: how good they are, and what noise does to them."""

import numpy as np
import pytest

from rldistill.errors import SettingError
from rldistill.lab.mdp import discounted
from rldistill.lab.solve import expected_return, value_iteration, values
from rldistill.lab.teachers import (
    QLearning,
    adversarial_teacher,
    corrupt_states,
    mix_with_uniform,
    optimal_teacher,
    q_learning,
    teacher_from_table,
)
from rldistill.lab.worlds import WorldSettings, make_world, pad_with_copies


def test_the_optimal_teacher_is_optimal_and_a_hot_one_is_not():
    mdp = make_world("corridor").mdp
    best = optimal_teacher(mdp)
    np.testing.assert_allclose(best.values, value_iteration(mdp).values)
    assert optimal_teacher(mdp, temperature=1.0).values[8] < best.values[8]


def test_the_adversary_is_the_worst_of_all():
    mdp = make_world("corridor").mdp
    worst = adversarial_teacher(mdp)
    assert expected_return(mdp, worst.policy) == pytest.approx(-(0.99**9))
    np.testing.assert_allclose(worst.values, values(mdp, worst.policy))


def test_q_learning_learns_the_best_policy_and_its_value():
    # With a discount the better action is so by more than the noise of a constant rate.
    corridor = discounted(make_world("corridor", WorldSettings(size=7)).mdp, 0.7)
    worlds = [corridor, pad_with_copies(corridor, 5)]
    tables = q_learning(worlds, QLearning(num_steps=8000, epsilon=0.3, learning_rate=0.05))
    for world, table in zip(worlds, tables, strict=True):
        best = value_iteration(world)
        taught = teacher_from_table(world, table, 0.0)
        assert world.start @ taught.values == pytest.approx(world.start @ best.values, abs=1e-3)
    exact = value_iteration(corridor).action_values
    np.testing.assert_allclose(tables[0][2:], exact[2:], atol=0.1)


def test_q_learning_shares_what_copies_learn():
    world = pad_with_copies(make_world("chain").mdp, 7)
    (table,) = q_learning([world], QLearning(num_steps=200))
    assert table.shape == (5, 7)
    np.testing.assert_array_equal(table[:, 0], table[:, 4])
    assert (table[:, 0] != table[:, 1]).any()


def test_q_learning_is_the_same_for_the_same_seed():
    worlds = [make_world("chain").mdp] * 2
    first, second = (q_learning(worlds, QLearning(num_steps=100, seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[0] != first[1]).any()


def test_noise_of_two_kinds():
    policy = np.tile([1.0, 0.0, 0.0], (4000, 1))
    assert mix_with_uniform(policy, 0.3)[0] == pytest.approx([0.8, 0.1, 0.1])
    noisy = corrupt_states(policy, 0.3, np.random.default_rng(0))
    np.testing.assert_allclose(noisy.sum(axis=1), 1.0)
    # A third of the shuffles change nothing.
    assert (noisy[:, 0] == 0).mean() == pytest.approx(0.2, abs=0.03)
    assert set(np.unique(noisy)) == {0.0, 1.0}
    np.testing.assert_array_equal(corrupt_states(policy, 0.0, np.random.default_rng(0)), policy)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_bad_shares_are_refused(share):
    with pytest.raises(SettingError, match="share"):
        mix_with_uniform(np.ones((1, 1)), share)
    with pytest.raises(SettingError, match="share"):
        QLearning(epsilon=share)


@pytest.mark.parametrize("settings", [{"num_steps": 0}, {"learning_rate": 0.0}])
def test_bad_q_learning_is_refused(settings):
    with pytest.raises(SettingError, match="at least 1"):
        QLearning(**settings)
