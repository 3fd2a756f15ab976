"""Every function against loops over single episodes, written apart from it, in plain Python."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import DatasetError, SettingError, ShapeError
from rldistill.maths import returns

GOES_ON, TERMINATED, TRUNCATED, BOTH, PHANTOM = range(5)
KINDS = st.sampled_from([GOES_ON, GOES_ON, TERMINATED, TRUNCATED, BOTH])
NUM_STEPS = 9


def outcomes_of(kinds, rewards):
    """Outcomes [T, B] from the kind of each step, given as one list per environment."""
    kinds = torch.tensor(kinds).T
    return returns.Outcomes(
        torch.as_tensor(rewards),
        (kinds == TERMINATED) | (kinds == BOTH),
        (kinds == TRUNCATED) | (kinds == BOTH),
        kinds != PHANTOM,
    )


@st.composite
def trajectories(draw):
    """The steps of 2 environments with next-step autoreset, begun anywhere, and values."""
    kinds = []
    for _ in range(2):
        steps = [PHANTOM] if draw(st.booleans()) else []
        while len(steps) < NUM_STEPS:
            steps.append(draw(KINDS))
            if steps[-1] != GOES_ON:
                steps.append(PHANTOM)
        kinds.append(steps[:NUM_STEPS])
    seeds = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    rewards = torch.randn(NUM_STEPS, 2, generator=seeds, dtype=torch.float64)
    values = torch.randn(NUM_STEPS + 1, 2, generator=seeds, dtype=torch.float64)
    return outcomes_of(kinds, rewards), values


shares = st.floats(0, 1)


def n_step_by_loop(outcomes, values, gamma, n):
    """Walk forward from each step, one reward at a time."""
    result = torch.zeros_like(outcomes.rewards)
    num_steps, num_envs = result.shape
    for b in range(num_envs):
        for start in range(num_steps):
            if not outcomes.valid[start, b]:
                continue
            total, t = 0.0, start
            while True:
                total += gamma ** (t - start) * outcomes.rewards[t, b].item()
                if outcomes.terminated[t, b]:
                    break
                t += 1
                if outcomes.truncated[t - 1, b] or t == num_steps or t == start + n:
                    total += gamma ** (t - start) * values[t, b].item()
                    break
            result[start, b] = total
    return result


def gae_by_loop(outcomes, values, gamma, lam):
    """The definition as a weighted mean of n-step advantages (equation 16 of the paper, line 1)."""
    result = torch.zeros_like(outcomes.rewards)
    num_steps, _ = result.shape
    ahead = [n_step_by_loop(outcomes, values, gamma, n) for n in range(1, num_steps + 2)]
    for k, target in enumerate(ahead[:-1]):
        result += (1 - lam) * lam**k * target
    result += lam**num_steps * ahead[-1]
    return torch.where(outcomes.valid, result - values[:-1], 0.0)


ONE_EPISODE = [[GOES_ON, GOES_ON, TERMINATED]]
REWARDS = [[1.0], [2.0], [4.0]]
VALUES = torch.tensor([[10.0], [20.0], [40.0], [80.0]])


def columns(result):
    return result.T.tolist()


def test_by_hand():
    """gamma = 1/2, rewards 1, 2, 4, values 10, 20, 40; V after the end counts as 0, not 80."""
    outcomes = outcomes_of(ONE_EPISODE, REWARDS)
    assert columns(returns.return_to_go(outcomes, VALUES, 0.5)) == [[3, 4, 4]]
    assert columns(returns.n_step(outcomes, VALUES, 0.5, 1)) == [[11, 22, 4]]
    assert columns(returns.n_step(outcomes, VALUES, 0.5, 2)) == [[12, 4, 4]]
    # delta = (11 - 10, 22 - 20, 4 - 40), each carried back times 1/4.
    assert columns(returns.gae(outcomes, VALUES, 0.5, 0.5)) == [[-0.75, -7, -36]]


def test_a_truncated_step_bootstraps_from_the_value_of_the_real_last_observation():
    """The phantom row holds that observation: 40. The episode after it is not looked at."""
    outcomes = outcomes_of([[GOES_ON, TRUNCATED, PHANTOM]], REWARDS)
    assert columns(returns.return_to_go(outcomes, VALUES, 0.5)) == [[1 + 0.5 * 22, 22, 0]]
    assert columns(returns.n_step(outcomes, VALUES, 0.5, 3)) == [[12, 22, 0]]
    assert columns(returns.gae(outcomes, VALUES, 0.5, 1.0)) == [[2, 2, 0]]


def test_where_the_data_stop_the_last_value_goes_on():
    outcomes = outcomes_of([[GOES_ON, GOES_ON, GOES_ON]], REWARDS)
    assert columns(returns.return_to_go(outcomes, VALUES, 0.5)) == [[13, 24, 44]]
    for n in (3, 4, 100):
        assert columns(returns.n_step(outcomes, VALUES, 0.5, n)) == [[13, 24, 44]]
    assert columns(returns.n_step(outcomes, VALUES, 0.5, 2)) == [[12, 24, 44]]


def test_termination_wins_over_truncation():
    """A time limit reached by the very step that ends the task: nothing comes after it."""
    outcomes = outcomes_of([[GOES_ON, GOES_ON, BOTH]], REWARDS)
    assert columns(returns.return_to_go(outcomes, VALUES, 0.5)) == [[3, 4, 4]]
    assert columns(returns.gae(outcomes, VALUES, 0.5, 0.5)) == [[-0.75, -7, -36]]


@given(trajectories(), shares, st.integers(1, NUM_STEPS + 3))
def test_n_step_agrees_with_a_loop(trajectory, gamma, n):
    expected = n_step_by_loop(*trajectory, gamma, n)
    torch.testing.assert_close(returns.n_step(*trajectory, gamma, n), expected)


@given(trajectories(), shares)
def test_return_to_go_agrees_with_a_loop_and_with_a_long_n_step(trajectory, gamma):
    result = returns.return_to_go(*trajectory, gamma)
    torch.testing.assert_close(result, n_step_by_loop(*trajectory, gamma, NUM_STEPS + 1))
    torch.testing.assert_close(result, returns.n_step(*trajectory, gamma, NUM_STEPS))


@given(trajectories(), shares, shares)
def test_gae_is_the_weighted_mean_of_n_step_advantages(trajectory, gamma, lam):
    expected = gae_by_loop(*trajectory, gamma, lam)
    torch.testing.assert_close(returns.gae(*trajectory, gamma, lam), expected)


@given(trajectories(), shares)
def test_the_ends_of_lambda_are_one_step_and_return_to_go(trajectory, gamma):
    outcomes, values = trajectory
    for lam, target in (
        (0.0, returns.n_step(outcomes, values, gamma, 1)),
        (1.0, returns.return_to_go(outcomes, values, gamma)),
    ):
        expected = torch.where(outcomes.valid, target - values[:-1], 0.0)
        torch.testing.assert_close(returns.gae(outcomes, values, gamma, lam), expected)


FUNCTIONS = [
    lambda outcomes, values: returns.return_to_go(outcomes, values, 0.9),
    lambda outcomes, values: returns.n_step(outcomes, values, 0.9, 3),
    lambda outcomes, values: returns.gae(outcomes, values, 0.9, 0.8),
]
each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=["return", "n_step", "gae"])


@each_function
@pytest.mark.parametrize("end", [TERMINATED, TRUNCATED, BOTH])
def test_nothing_passes_from_one_episode_to_the_one_before(function, end):
    """Gradients say who depends on whom: no step looks past the end, or at a phantom's reward."""
    outcomes = outcomes_of([[GOES_ON, end, PHANTOM, GOES_ON, GOES_ON]], torch.ones(5, 1))
    rewards = torch.ones(5, 1, requires_grad=True)
    values = torch.ones(6, 1, requires_grad=True)
    result = function(dataclasses.replace(outcomes, rewards=rewards), values)
    assert result[2] == 0
    of_rewards, of_values = torch.autograd.grad(result[:3].sum(), (rewards, values))
    assert of_rewards[2:].eq(0).all()
    assert of_values[3:].eq(0).all()
    # Row 2 is the real last observation: only a truncated step may use its value.
    assert (of_values[2] != 0) == (end == TRUNCATED)


@each_function
def test_garbage_where_nothing_counts_does_no_harm(function):
    """NaN as a phantom's reward, and as the value after termination, reaches no result."""
    kinds = [[GOES_ON, TERMINATED, PHANTOM, GOES_ON, TERMINATED]]
    rewards, values = torch.ones(5, 1), torch.ones(6, 1)
    clean = function(outcomes_of(kinds, rewards), values)
    rewards[2], values[2], values[5] = torch.nan, torch.nan, torch.nan
    rewards.requires_grad_()
    values.requires_grad_()
    result = function(dataclasses.replace(outcomes_of(kinds, rewards), rewards=rewards), values)
    assert torch.equal(result, clean)
    result.sum().backward()
    assert rewards.grad.isfinite().all()
    assert values.grad.isfinite().all()


@each_function
def test_gradient_is_right(function):
    outcomes = outcomes_of([[GOES_ON, TRUNCATED, PHANTOM, GOES_ON, TERMINATED]], torch.ones(5, 1))
    rewards = torch.randn(5, 1, dtype=torch.float64, requires_grad=True)
    values = torch.randn(6, 1, dtype=torch.float64, requires_grad=True)

    def of_tensors(rewards, values):
        return function(dataclasses.replace(outcomes, rewards=rewards), values)

    assert torch.autograd.gradcheck(of_tensors, (rewards, values))


@each_function
def test_environments_do_not_mix_and_one_step_is_enough(function):
    kinds = [[TERMINATED], [TRUNCATED], [GOES_ON], [PHANTOM]]
    rewards, values = torch.arange(4.0)[None], torch.arange(8.0).reshape(2, 4)
    together = function(outcomes_of(kinds, rewards), values)
    for b in range(4):
        alone = function(outcomes_of(kinds[b : b + 1], rewards[:, b : b + 1]), values[:, b : b + 1])
        assert torch.equal(together[:, b : b + 1], alone)


def test_padding_after_an_end_is_worth_nothing():
    outcomes = outcomes_of([[GOES_ON, TERMINATED, PHANTOM, PHANTOM]], torch.ones(4, 1))
    assert columns(returns.return_to_go(outcomes, torch.ones(5, 1), 1.0)) == [[2, 1, 0, 0]]


def test_a_truncated_step_without_its_last_observation_is_refused():
    """Same-step autoreset: row t + 1 belongs to the next episode, its value must not be used."""
    with pytest.raises(DatasetError, match="step 1 of environment 0 was truncated, but the next"):
        outcomes_of([[GOES_ON, TRUNCATED, GOES_ON]], REWARDS)
    for end in (TERMINATED, BOTH):  # no value is needed there
        outcomes_of([[GOES_ON, end, GOES_ON]], REWARDS)


def test_a_phantom_step_out_of_nowhere_is_refused():
    with pytest.raises(DatasetError, match="step 0 of environment 1 ended nothing"):
        outcomes_of([[GOES_ON, GOES_ON], [GOES_ON, PHANTOM]], torch.ones(2, 2))


@pytest.mark.parametrize("field", ["rewards", "terminated", "truncated", "valid"])
def test_outcomes_of_different_shapes_are_refused(field):
    outcomes = outcomes_of(ONE_EPISODE, REWARDS)
    wrong = getattr(outcomes, field)[:2]
    with pytest.raises(ShapeError, match=r"one shape \[T, B\] .*\(2, 1\)"):
        dataclasses.replace(outcomes, **{field: wrong})


@pytest.mark.parametrize("shape", [(3,), (0, 2), (3, 1, 1)])
def test_outcomes_must_be_steps_by_environments(shape):
    no = torch.zeros(shape, dtype=torch.bool)
    with pytest.raises(ShapeError, match="T >= 1"):
        returns.Outcomes(torch.zeros(shape), no, no, ~no)


def test_flags_must_be_bool():
    """~ of a float or integer flag is not its opposite."""
    outcomes = outcomes_of(ONE_EPISODE, REWARDS)
    with pytest.raises(ShapeError, match="must be bool"):
        dataclasses.replace(outcomes, terminated=outcomes.terminated.long())


@each_function
@pytest.mark.parametrize("shape", [(3, 1), (4,), (4, 2)])
def test_values_need_one_row_more(function, shape):
    with pytest.raises(ShapeError, match=r"values must be \[T \+ 1, B\] = \(4, 1\)"):
        function(outcomes_of(ONE_EPISODE, REWARDS), torch.zeros(shape))


def test_settings_out_of_range_are_refused():
    outcomes = outcomes_of(ONE_EPISODE, REWARDS)
    with pytest.raises(SettingError, match=r"gamma must be between 0 and 1; got 1\.5"):
        returns.return_to_go(outcomes, VALUES, 1.5)
    with pytest.raises(SettingError, match="gamma"):
        returns.n_step(outcomes, VALUES, -0.1, 1)
    with pytest.raises(SettingError, match="n must be at least 1 step; got 0"):
        returns.n_step(outcomes, VALUES, 0.9, 0)
    with pytest.raises(SettingError, match="gamma"):
        returns.gae(outcomes, VALUES, float("nan"), 0.9)
    with pytest.raises(SettingError, match="lam must be between 0 and 1"):
        returns.gae(outcomes, VALUES, 0.9, 2)
