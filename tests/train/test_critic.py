"""The critic, and the unit of rewards."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_rounds import REWARDS, TERMINATED, TRUNCATED, VALID

from rldistill.maths.returns import Outcomes
from rldistill.train.critic import SMALLEST_SCALE, Critic, ReturnScale


def outcomes_of(rewards: np.ndarray, ended: np.ndarray, phantom: np.ndarray) -> Outcomes:
    given = (torch.from_numpy(x.astype(bool)) for x in (ended, 0 * ended, ~phantom.astype(bool)))
    return Outcomes(torch.from_numpy(rewards), *given)


def plainly(rounds: list[Outcomes], gamma: float) -> float:
    """What VecNormalize divides by: the deviation of G_t = gamma G_{t-1} + r_t over all steps."""
    seen = []
    for b in range(rounds[0].rewards.shape[1]):
        running = 0.0
        for outcomes in rounds:
            for t in range(len(outcomes.rewards)):
                if not outcomes.valid[t, b]:
                    continue
                running = gamma * running + float(outcomes.rewards[t, b])
                seen.append(running)
                if outcomes.terminated[t, b] or outcomes.truncated[t, b]:
                    running = 0.0
    return float(np.std(seen))


@st.composite
def rounds(draw: st.DrawFn) -> list[Outcomes]:
    """Some rounds of three environments; phantom steps, or none, after each end."""
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    with_phantoms = draw(st.booleans())
    made, owed = [], np.zeros(3, bool)
    for _ in range(draw(st.integers(1, 4))):
        length = int(generator.integers(1, 8))
        ended, phantom = np.zeros((length, 3), bool), np.zeros((length, 3), bool)
        for t in range(length):
            phantom[t] = owed
            ended[t] = ~owed & (generator.random(3) < 0.3)
            owed = ended[t] & with_phantoms
        made.append(outcomes_of(generator.normal(1.0, 3.0, (length, 3)), ended, phantom))
    return made


@given(rounds(), st.floats(0, 1))
@settings(deadline=None)
def test_the_scale_is_the_deviation_of_discounted_returns(made, gamma):
    """Round by round as all at once, whatever ends where; phantom steps count nowhere."""
    scale = ReturnScale()
    for outcomes in made:
        scale.update(outcomes, gamma)
    expected = plainly(made, gamma)
    assert scale.value == pytest.approx(expected if expected > SMALLEST_SCALE else 1.0)


def test_by_hand():
    """gamma 1/2, the round of two environments: NaN in phantom steps is ignored."""
    scale = ReturnScale()
    scale.update(Outcomes(REWARDS, TERMINATED, TRUNCATED, VALID), 0.5)
    first = [1, 2.5, 4, 7, 9.5]
    second = [7, 11.5, 14.75, 11, 17.5]
    assert scale.value == pytest.approx(np.std(first + second))


@pytest.mark.parametrize("reward", [0.0, 3.0])
def test_returns_that_are_all_equal_are_left_alone(reward):
    scale = ReturnScale()
    assert scale.value == 1.0
    scale.update(outcomes_of(np.full((4, 2), reward), np.zeros((4, 2)), np.zeros((4, 2))), 0.0)
    assert scale.value == 1.0


def test_a_round_of_phantom_steps_changes_nothing():
    """It happens where all environments end together."""
    scale = ReturnScale()
    scale.update(Outcomes(REWARDS, TERMINATED, TRUNCATED, VALID), 0.5)
    before = scale.state_dict()
    everyone = np.ones((1, 2))
    scale.update(outcomes_of(np.full((1, 2), np.nan), 0 * everyone, everyone), 0.5)
    assert scale.state_dict() == before


def test_the_scale_comes_back():
    """The episodes under way start anew: a resumed run's environments do."""
    scale, again = ReturnScale(), ReturnScale()
    outcomes = Outcomes(REWARDS, TERMINATED, TRUNCATED, VALID)
    scale.update(outcomes, 0.5)
    again.load_state_dict(scale.state_dict())
    assert again.value == scale.value
    again.update(outcomes, 0.5)
    assert again.value == pytest.approx(scale.value)  # the same steps twice


def test_another_number_of_environments_starts_anew():
    scale = ReturnScale()
    scale.update(outcomes_of(np.ones((3, 2)), np.zeros((3, 2)), np.zeros((3, 2))), 1.0)
    scale.update(outcomes_of(np.ones((3, 1)), np.zeros((3, 1)), np.zeros((3, 1))), 1.0)
    assert scale.value == pytest.approx(np.std([1, 2, 3]))


def test_a_critic_begins_by_saying_nothing():
    """One value per column, of flat float observations."""
    critic = Critic(4, (8,), 2)
    found = critic(torch.randn(5, 4))
    assert found.shape == (5, 2)
    assert bool((found == 0).all())
    assert torch.equal(critic(torch.ones(5, 2, 2, dtype=torch.uint8)), torch.zeros(5, 2))


def test_a_critic_sees_normalised_observations():
    torch.manual_seed(0)
    critic = Critic(3, (8,), 1)
    torch.nn.init.ones_(critic.layers[-1].weight)
    x = torch.randn(200, 3)
    plain = critic(x)
    far = 1000 + 50 * x
    critic.normaliser.fit(far)
    torch.testing.assert_close(critic(far), _standardised(critic, x))
    assert not torch.allclose(critic(far), plain)


def _standardised(critic: Critic, x: torch.Tensor) -> torch.Tensor:
    return critic.layers((x - x.mean(0)) / x.std(0, correction=0))
