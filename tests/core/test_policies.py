import numpy as np
import pytest
import torch
from fake_policies import HEADS, always, info_for, policy
from torch import nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    NetworkPolicy,
)
from rldistill.errors import NotFiniteError, ShapeError, TaskError

# Logit of action i is the i-th number seen.
FIRST_THREE = policy(lambda x: x[:, :3].float(), CategoricalHead(3))
ONE = np.array([1.0, 3.0, 2.0, 0.0], np.float32)


def test_predict_takes_one_observation_or_a_batch():
    """The batch has the actions that its rows have alone."""
    batch = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    actions, state = FIRST_THREE.predict(batch)
    assert state is None
    assert actions.dtype == np.int64
    assert actions.tolist() == batch[:, :3].argmax(-1).tolist()
    assert [FIRST_THREE.predict(row)[0].item() for row in batch] == actions.tolist()
    assert FIRST_THREE.predict(ONE)[0].shape == ()


def test_predict_clips_to_the_bounds_that_are_there():
    wide = always([9.0, -9.0, 0.0, 0.0], GaussianHead((-1.0, -np.inf), (1.0, np.inf)))
    action, _ = wide.predict(ONE)
    assert action.dtype == np.float32
    assert action.tolist() == [1.0, -9.0]


def test_predict_samples_when_asked_to():
    torch.manual_seed(0)
    even = always([0.0, 0.0, -np.inf], CategoricalHead(3))
    actions, _ = even.predict(np.zeros((200, 4), np.float32), deterministic=False)
    assert set(actions.tolist()) == {0, 1}


def test_predict_gives_the_state_back_and_ignores_episode_starts():
    state = (np.zeros(3),)
    assert FIRST_THREE.predict(ONE, state, np.ones(1, bool), True)[1] is state


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, bool])
def test_predict_takes_numbers_of_every_type(dtype):
    assert FIRST_THREE.predict(np.array([0, 1, 0, 0], dtype))[0] == 1


@pytest.mark.parametrize(
    "observation",
    [np.zeros(3), np.zeros((2, 3)), np.zeros((2, 2, 4)), np.array(1.0), np.zeros((4, 1)), []],
)
def test_predict_refuses_another_shape(observation):
    with pytest.raises(ShapeError, match=r"this policy expects \(4,\)"):
        FIRST_THREE.predict(observation)


@pytest.mark.parametrize("observation", [np.array(["a"] * 4), np.array([None] * 4), [1j] * 4])
def test_predict_refuses_what_is_no_number(observation):
    with pytest.raises(ShapeError, match="must hold numbers"):
        FIRST_THREE.predict(observation)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_predict_refuses_what_is_not_finite(value):
    """1e300 too: it is infinite in float32."""
    for shape in ((4,), (2, 4)):
        observation = np.zeros(shape)
        observation[..., 2] = value
        with pytest.raises(NotFiniteError, match="the observation holds NaN or infinity"):
            FIRST_THREE.predict(observation)


def test_predict_refuses_an_action_that_is_not_finite():
    broken = always([np.nan, 0.0], DeterministicHead((-1.0, -1.0), (1.0, 1.0)))
    with pytest.raises(NotFiniteError, match="gave an action that is NaN"):
        broken.predict(ONE)


def test_predict_works_in_stable_baselines3():
    """SB3's own evaluation calls it as it calls its own models."""
    evaluation = pytest.importorskip("stable_baselines3.common.evaluation")
    env_util = pytest.importorskip("stable_baselines3.common.env_util")

    # Push to where the pole falls.
    balancing = policy(
        lambda x: torch.stack([-x[:, 2] - 0.5 * x[:, 3], x[:, 2] + 0.5 * x[:, 3]], -1),
        CategoricalHead(2),
    )
    env = env_util.make_vec_env("CartPole-v1", n_envs=2, seed=0)
    mean, _ = evaluation.evaluate_policy(balancing, env, n_eval_episodes=2, warn=False)
    assert mean > 100  # a random policy gets 22


def test_a_policy_without_a_critic_has_no_value():
    with pytest.raises(TaskError, match="has no value function"):
        FIRST_THREE.value(torch.zeros(1, 4))


def test_a_critic_gives_the_value():
    critic = nn.Linear(4, 1)
    valued = NetworkPolicy(nn.Linear(4, 3), info_for(CategoricalHead(3)), critic)
    assert torch.equal(valued.value(torch.ones(2, 4)), critic(torch.ones(2, 4)))


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_policy_is_its_head_on_its_raw_outputs(head):
    net = policy(nn.Linear(4, head.num_outputs), head)
    x = torch.randn(7, 4)
    assert net.raw(x).shape == (7, head.num_outputs)
    assert torch.equal(net(x).mode(), head(net.raw(x)).mode())


def test_moving_a_policy_keeps_it_whole():
    net = NetworkPolicy(nn.Linear(4, 3), info_for(CategoricalHead(3)), nn.Linear(4, 1))
    moved = net.to(torch.device("cpu"))
    assert moved.info == net.info
    assert torch.equal(moved.raw(torch.ones(1, 4)), net.raw(torch.ones(1, 4)))
    assert moved.critic is not None
