"""Worlds by name: what is in them, and what may not be asked of them."""

import numpy as np
import pytest

from rldistill.errors import SettingError
from rldistill.lab.grid import GridSettings, draw_cells, grid_from_cells, random_grid
from rldistill.lab.mdp import END
from rldistill.lab.solve import expected_return, value_iteration, values
from rldistill.lab.worlds import (
    WORLDS,
    WorldSettings,
    figure2_loss,
    make_world,
    pad_with_copies,
    random_mdp,
)

LEFT, RIGHT, UP, DOWN = range(4)


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_has_a_teacher_that_can_do_everything_and_does_well(name):
    problem = make_world(name)
    best = problem.mdp.start @ value_iteration(problem.mdp).values
    taught = expected_return(problem.mdp, problem.teacher)
    assert taught <= best + 1e-9
    if name in ("corridor", "grid", "chain"):
        uniform = np.full_like(problem.teacher, 1 / problem.mdp.num_actions)
        assert taught > expected_return(problem.mdp, uniform)
    assert (problem.teacher > 0).all()


def test_the_counterexample_by_hand():
    """J(p, q) = (1 - p)(-1 - q) - 3 p q."""
    problem = make_world("counterexample")
    p, q = 0.3, 0.8
    policy = np.array([[1 - p, p], [1 - q, q], [1 - q, q]])
    assert expected_return(problem.mdp, policy) == pytest.approx((1 - p) * (-1 - q) - 3 * p * q)
    theta = np.log([p / (1 - p), q / (1 - q)])
    np.testing.assert_allclose(problem.student.policy(theta), policy, atol=1e-14)
    assert problem.teacher[2, 1] == 0.98
    assert (problem.teacher[:2] == 0.5).all()
    assert figure2_loss(problem).value(np.log(policy)).tolist() == [0, 0, pytest.approx(-4 * q)]


def test_the_corridor_by_hand():
    """9 steps to the right end, each survived with chance 0.99; TD + V_0 ends at about 0.35."""
    problem = make_world("corridor")
    assert problem.mdp.num_states == 17
    right, left = np.eye(2)[np.ones(17, int)], np.eye(2)[np.zeros(17, int)]
    assert expected_return(problem.mdp, right) == pytest.approx(0.99**9)
    assert expected_return(problem.mdp, left) == pytest.approx(-(0.99**9))
    myopic = np.full((17, 2), 0.5)
    myopic[[0, -1]] = [0, 1]
    assert expected_return(problem.mdp, myopic) == pytest.approx(0.347, abs=1e-3)


def test_the_chain_by_hand():
    problem = make_world("chain", WorldSettings(size=3))
    go = np.eye(2)[np.ones(3, int)]
    assert expected_return(problem.mdp, go) == pytest.approx(0.9**3)
    assert expected_return(problem.mdp, 1 - go) == pytest.approx(0.3)
    assert make_world("chain", WorldSettings(size=1)).mdp.transitions.tolist() == [[[0], [0]]]


def test_a_grid_by_hand():
    """3 x 3, a wall above the start, +10 and the end at its right, -1 below it, noise 0.1."""
    rewards, ends, walls = np.zeros((3, 3)), np.zeros((3, 3), bool), np.zeros((3, 3), bool)
    walls[0, 1] = ends[1, 2] = True
    rewards[1, 2], rewards[2, 1] = 10.0, -1.0
    settings = GridSettings(side=3, noise=0.1, kill=0.01)
    mdp = grid_from_cells(rewards, ends, walls, settings)
    assert mdp.num_states == 7
    # Raster order of what is left: 00 02 10 11 20 21 22.
    centre = int(mdp.start.argmax())
    assert centre == 3
    main, other = 0.99 * 0.925, 0.99 * 0.025
    assert mdp.ends[centre, RIGHT] == pytest.approx(main + 0.01)
    assert mdp.mean_rewards[centre, RIGHT] == pytest.approx(10 * main - other)
    up = mdp.transitions[centre, UP]
    assert up[centre] == pytest.approx(main)  # the wall
    assert up[2] == pytest.approx(other)
    assert up[5] == pytest.approx(other)
    assert mdp.mean_rewards[centre, UP] == pytest.approx(10 * other - other)
    # Cell 20: left and down lead off the grid.
    assert mdp.transitions[4, LEFT, 4] == pytest.approx(main + other)
    # Staying on the -1 cell costs again.
    assert mdp.mean_rewards[5, DOWN] == pytest.approx(-main)
    np.testing.assert_allclose(mdp.transitions.sum(axis=2) + mdp.ends, 1.0)


def test_the_shares_of_cells_are_those_of_the_settings():
    """Each kind is tried only where the kinds before it did not come up."""
    rng = np.random.default_rng(0)
    drawn = [draw_cells(rng, GridSettings(side=100)) for _ in range(10)]
    rewards, ends, walls = (np.stack(part) for part in zip(*drawn, strict=True))
    assert walls.mean() == pytest.approx(0.1, abs=0.005)
    assert ((rewards == 10) & ends).mean() == pytest.approx(0.9 * 0.01, abs=0.002)
    assert ((rewards == -10) & ends).mean() == pytest.approx(0.9 * 0.99**3 * 0.01, abs=0.002)
    assert (rewards == -1).mean() == pytest.approx(0.9 * 0.99**4 * 0.1, abs=0.005)
    assert not (ends & walls).any()
    assert (rewards[walls] == 0).all()
    assert not ends[:, 50, 50].any()
    assert not walls[:, 50, 50].any()


def test_a_grid_is_the_same_for_the_same_seed():
    first, second = (random_grid(np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.successors, second.successors)
    np.testing.assert_array_equal(first.rewards, second.rewards)
    third = random_grid(np.random.default_rng(8))
    assert third.rewards.shape != first.rewards.shape or (third.rewards != first.rewards).any()


def test_four_thousand_actions_are_solved_exactly():
    problem = make_world("grid", WorldSettings(size=6, num_actions=4000))
    assert problem.teacher.shape[1] == 4000
    plain = make_world("grid", WorldSettings(size=6))
    np.testing.assert_allclose(
        value_iteration(problem.mdp).values, value_iteration(plain.mdp).values, atol=1e-12
    )
    uniform = np.full_like(problem.teacher, 1 / 4000)
    np.testing.assert_allclose(
        values(problem.mdp, uniform),
        values(plain.mdp, np.full_like(plain.teacher, 0.25)),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gird", {}, "Did you mean grid"),
        ("nonsense", {}, "unknown world"),
        ("counterexample", {"size": 4}, "give no size"),
        ("counterexample", {"num_actions": 4}, "give no size"),
        ("corridor", {"size": 2}, "at least 3"),
        ("grid", {"size": 1}, "at least 2"),
        ("chain", {"size": 0}, "at least 1"),
        ("random", {"size": 0}, "at least 1"),
        ("random", {"num_actions": 0}, "at least 1 action"),
        ("chain", {"num_actions": 1}, "already"),
        ("grid", {"size": 5000}, "make the world smaller"),
        ("corridor", {"size": 5_000_000}, "make the world smaller"),
        ("chain", {"size": 5_000_000}, "make the world smaller"),
        ("random", {"size": 5_000_000}, "make the world smaller"),
        ("chain", {"num_actions": 2_000_000_000_000}, "make the world smaller"),
    ],
)
def test_bad_worlds_are_refused(name, settings, message):
    with pytest.raises(SettingError, match=message):
        make_world(name, WorldSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"wall": 1.5}, "chances of a grid"), ({"side": 1}, "2 cells"), ({"kill": 0.0}, "above 0")],
)
def test_bad_grids_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        GridSettings(**settings)


def test_figure_2_is_for_the_counterexample_only():
    with pytest.raises(SettingError, match="not in chain"):
        figure2_loss(make_world("chain"))


def test_random_worlds_end_and_differ():
    first, second = (random_mdp(np.random.default_rng(seed), 3, 2) for seed in (0, 1))
    assert ((first.ends >= 0.1) & (first.ends <= 0.5)).all()
    assert (first.mean_rewards != second.mean_rewards).all()
    assert (first.successors == END).any()


def test_padding_never_removes_actions():
    mdp = random_mdp(np.random.default_rng(0), 3, 2)
    with pytest.raises(SettingError, match="2 actions already"):
        pad_with_copies(mdp, 1)
