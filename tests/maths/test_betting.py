import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.maths import betting

returns = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20).map(np.array)
floors = st.floats(0.01, 1)


def test_the_first_stake_is_one():
    assert betting.WEIGHTS.sum() == pytest.approx(1)
    assert (betting.BETS > 0).all()
    assert (betting.BETS <= 1).all()


def test_contrast_by_hand():
    """f = 0.9: 10 - 0.9 * 12 - 0.1 * 2; depth 0.9 * 12 + 0.1 * 3 - 1; height 12 - 0.9 - 0.2."""
    found = betting.contrast(np.array([10.0, 1]), np.array([12.0, 5]), np.array([2.0, 3]), 0.9)
    np.testing.assert_allclose(found.values, [-1, 1 - 4.5 - 0.3])
    assert found.depth == pytest.approx(10.1)
    assert found.height == pytest.approx(10.9)


@given(returns, returns, returns, floors)
def test_no_value_lies_outside_its_range(student, teacher, random, floor):
    found = betting.contrast(student, teacher, random, floor)
    slack = 1e-9 * (1 + found.depth + found.height)
    assert (found.values >= -found.depth - slack).all()
    assert (found.values <= found.height + slack).all()


@given(returns, returns, returns, floors, st.floats(-1e4, 1e4), st.floats(0.01, 100))
def test_units_do_not_matter(student, teacher, random, floor, shift, scale):
    """Adding a number to all rewards changes nothing, multiplying them multiplies everything."""
    a = betting.contrast(student, teacher, random, floor)
    moved = [scale * (sample + shift) for sample in (student, teacher, random)]
    b = betting.contrast(*moved, floor)
    tolerance = 1e-9 * scale * 1e5
    np.testing.assert_allclose(b.values, scale * a.values, atol=tolerance)
    assert b.depth == pytest.approx(scale * a.depth, abs=tolerance)
    assert b.height == pytest.approx(scale * a.height, abs=tolerance)


def test_unequal_samples_are_used_whole():
    """Two students, five teachers: blocks of 2 and 3 teachers; the range is that of single ones."""
    student, teacher = np.array([10.0, 20]), np.array([1.0, 3, 3, 4, 5])
    found = betting.contrast(student, teacher, np.array([0.0]), 0.5)
    np.testing.assert_allclose(found.values, [15 - 0.5 * 3.2])
    found = betting.contrast(student, teacher, np.zeros(2), 0.5)
    np.testing.assert_allclose(found.values, [10 - 0.5 * 2, 20 - 0.5 * 4])
    assert found.depth == pytest.approx(10)


def test_equal_returns_leave_nothing_to_bet_on():
    """0.1 - 0.95 * 0.1 - 0.05 * 0.1 is not 0 in floating point; it must not become evidence."""
    same = np.full(1000, 0.1)
    found = betting.contrast(same, same, same, 0.95)
    assert betting.log_wealth(found.values, found.depth) == pytest.approx(0)


def test_wealth_by_hand():
    """One episode that wins half the range: 1 + b / 2, weighted over the bets."""
    expected = 0.88 * 1.5 + 0.03 * 1.25 + 0.05 * 1.125 + 0.025 * 1.0625 + 0.015 * 1.03125
    assert math.exp(betting.log_wealth(np.array([2.0]), 4.0)) == pytest.approx(expected)


@given(st.floats(-1, -0.01), st.floats(0.01, 20))
def test_the_game_is_fair(low, high):
    """By exact enumeration of 8 episodes with two outcomes of mean 0, the expected wealth is 1."""
    win = -low / (high - low)
    expected = 0.0
    for wins in range(9):
        played = np.array([high] * wins + [low] * (8 - wins))
        weight = math.comb(8, wins) * win**wins * (1 - win) ** (8 - wins)
        expected += weight * math.exp(betting.log_wealth(played, 1.0))
    assert expected == pytest.approx(1)


def test_a_full_loss_breaks_only_the_full_bet():
    """And no warning: log 0 is meant."""
    left = math.exp(betting.log_wealth(np.array([-1.0, -1.0]), 1.0))
    weights, bets = betting.WEIGHTS[1:], betting.BETS[1:]
    assert left == pytest.approx((weights * (1 - bets) ** 2).sum())


@given(returns)
def test_order_does_not_matter(values):
    bound = float(np.abs(values).max())
    forward, backward = (betting.log_wealth(v, bound) for v in (values, values[::-1]))
    assert forward == pytest.approx(backward, abs=1e-6)


def test_episodes_to_settle_is_about_right():
    """Predicted from 100 episodes, then counted, for steady and for noisy gains."""
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.05, 0.2, 4000).clip(-1, 1)
        needed = betting.episodes_to_settle(values[:300], 1.0, 1e-6)
        wealth = [betting.log_wealth(values[:n], 1.0) for n in range(1, 4000)]
        counted = 1 + int(np.argmax(np.array(wealth) >= math.log(1e6)))
        assert counted / 2.5 < needed < 2.5 * counted


@pytest.mark.parametrize("gain", [0.05, 0.1, 0.3])
def test_episodes_to_settle_is_exact_for_steady_gains(gain):
    """What the weights of the other bets cost is counted in."""
    seen = int(0.8 * math.log(1e8) / math.log1p(gain))
    needed = betting.episodes_to_settle(np.full(seen, gain), 1.0, 1e-8)
    below, enough = (betting.log_wealth(np.full(n, gain), 1.0) for n in (needed - 1, needed))
    assert below < math.log(1e8) <= enough


def test_what_loses_is_never_settled():
    assert betting.episodes_to_settle(np.full(50, -0.1), 1.0, 0.05) is None
    assert betting.episodes_to_settle(np.zeros(50), 0.0, 0.05) is None
    assert betting.episodes_to_settle(np.full(50, 1e-9), 1.0, 0.05) is None
