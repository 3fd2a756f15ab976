"""Live objects: models of stable-baselines3, modules, functions and our own policies."""

import sys

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError, SettingError, TaskError, TeacherFileError
from rldistill.teachers.load import load_policy, load_teacher

BOX = spaces.Box(-2.0, 2.0, (2,), np.float32)


def test_a_live_model_equals_its_zip(saved, blank):
    ppo = pytest.importorskip("stable_baselines3").PPO
    model, path = saved(ppo, blank(3, 2), gamma=0.9)
    x = torch.randn(10, 3)
    live, file = load_teacher(model), load_teacher(path)
    assert torch.equal(live.raw(x), file.raw(x))
    assert torch.equal(live.value(x), file.value(x))
    assert live.info.gamma == file.info.gamma == 0.9
    assert live.info.notes[0] == file.info.notes[0]


def test_the_vecnormalize_of_a_live_model_is_taken_along(saved, blank, tmp_path):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import A2C
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env = VecNormalize(DummyVecEnv([lambda: blank(3, 2)]), clip_obs=1.5)
    env.obs_rms.mean, env.obs_rms.var = np.array([1.0, 2.0, 3.0]), np.array([4.0, 1.0, 0.25])
    env.ret_rms.var = np.float64(9.0)
    model, path = saved(A2C, env)
    x = torch.randn(50, 3) * 3.0
    live = load_teacher(model)
    normal = torch.from_numpy(env.normalize_obs(x.numpy()))
    theirs = model.policy.predict_values(normal).squeeze(-1).detach()
    torch.testing.assert_close(live.value(x), 3.0 * theirs, rtol=1e-5, atol=1e-5)
    assert "VecNormalize of the model: clip 1.5" in live.info.notes[0]
    env.obs_rms.mean = np.zeros(3)
    assert load_teacher(model).info.fingerprint != live.info.fingerprint
    env.obs_rms.mean = np.array([1.0, 2.0, 3.0])
    env.save(path.parent / "vecnormalize.pkl")
    assert torch.equal(load_teacher(path).raw(x), live.raw(x))


def test_training_the_model_on_does_not_change_the_teacher(saved, blank):
    ppo = pytest.importorskip("stable_baselines3").PPO
    model, _ = saved(ppo, blank(3, 2))
    teacher, x = load_teacher(model), torch.randn(5, 3)
    before = teacher.raw(x)
    with torch.no_grad():
        for weight in model.policy.parameters():
            weight += 1.0
    assert torch.equal(teacher.raw(x), before)
    assert load_teacher(model).info.fingerprint != teacher.info.fingerprint


def test_the_policy_network_alone_is_refused_with_advice(saved, blank):
    ppo = pytest.importorskip("stable_baselines3").PPO
    model, _ = saved(ppo, blank(3, 2))
    with pytest.raises(SettingError, match="give the stable-baselines3 model itself"):
        load_teacher(model.policy)


def net(outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh(), nn.Linear(4, outputs))


@pytest.mark.parametrize(
    ("outputs", "space", "head"),
    [
        (5, spaces.Discrete(5), CategoricalHead(5)),
        (2, BOX, DeterministicHead((-2.0, -2.0), (2.0, 2.0))),
        (4, BOX, GaussianHead((-2.0, -2.0), (2.0, 2.0))),
    ],
)
def test_the_head_of_a_module_is_guessed_from_the_space_and_said(outputs, space, head):
    policy = load_teacher(net(outputs), action_space=space)
    assert policy.info.head == head
    assert any("outputs are taken as" in note for note in policy.info.notes)
    assert policy.info.observation_shape == (3,)
    assert policy.info.value_units == "none"


def test_a_declared_head_wins():
    module = net(4)
    given = load_teacher(module, head=QValueHead(4))
    assert given.info.head == QValueHead(4)
    module.head = SquashedGaussianHead((-1.0, -1.0), (1.0, 1.0))
    assert load_teacher(module).info.head == module.head


def test_a_module_is_copied_frozen_and_in_evaluation_mode():
    module = net(2).train()
    policy, x = load_teacher(module, head=CategoricalHead(2)), torch.randn(5, 3)
    before = policy.raw(x)
    assert torch.equal(before, policy.raw(x)), "dropout must be off"
    with torch.no_grad():
        module[0].weight += 1.0
    assert torch.equal(before, policy.raw(x))
    assert not before.requires_grad
    assert module.training


@pytest.mark.parametrize(
    ("module", "settings", "error", "message"),
    [
        (net(2), {}, SettingError, "the module needs a head"),
        (net(2), {"head": CategoricalHead(3)}, TaskError, "gives 2 outputs, its head requires 3"),
        (net(2), {"action_space": spaces.Discrete(3)}, TaskError, "fit no head"),
        (nn.Flatten(), {"head": CategoricalHead(3)}, SettingError, "needs observation_shape"),
        (
            nn.Identity(),
            {"head": CategoricalHead(3), "observation_shape": (3, 2)},
            TeacherFileError,
            r"\[B, N\]",
        ),
        (
            net(2),
            {"head": CategoricalHead(2), "observation_shape": (4,)},
            TaskError,
            r"shape \(4,\)",
        ),
    ],
)
def test_modules_that_fit_nothing_are_refused(module, settings, error, message):
    with pytest.raises(error, match=message):
        load_teacher(module, **settings)


def test_a_module_with_nan_weights_is_refused():
    module = net(2)
    with torch.no_grad():
        module[0].weight[0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match=r"weight 0\.weight"):
        load_teacher(module, head=CategoricalHead(2))


def test_a_function_that_chooses_actions():
    """CartPole's classic: push to the side to which the pole leans."""
    policy = load_teacher(
        lambda obs: (obs[:, 2] > 0).astype(int),
        observation_shape=(4,),
        action_space=spaces.Discrete(2),
    )
    x = torch.tensor([[0.0, 0, 0.1, 0], [0, 0, -0.1, 0]])
    assert policy(x).mode().tolist() == [1, 0]
    assert policy(x).logits.softmax(-1).amax(-1).min() > 1 - 1e-6
    action, _ = policy.predict(np.zeros(4, np.float32))
    assert action == 0


def test_a_function_that_gives_vectors():
    policy = load_teacher(lambda obs: obs[:, :2] * 2, observation_shape=(3,), action_space=BOX)
    assert policy(torch.ones(4, 3)).mode().tolist() == [[2.0, 2.0]] * 4


def test_a_function_with_a_head_gives_raw_outputs():
    policy = load_teacher(lambda obs: obs, observation_shape=(3,), head=QValueHead(3))
    assert policy.raw(torch.ones(2, 3)).tolist() == [[1.0, 1.0, 1.0]] * 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"action_space": spaces.Discrete(2)}, SettingError, "needs observation_shape"),
        ({"observation_shape": (3,)}, SettingError, "needs head, or an action_space"),
        (
            {"observation_shape": (3,), "head": CategoricalHead(2)},
            TaskError,
            r"returned shape \(1, 3\)",
        ),
        (
            {"observation_shape": (3,), "action_space": spaces.Discrete(2)},
            TaskError,
            r"\(1,\) is required",
        ),
    ],
)
def test_functions_that_fit_nothing_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        load_teacher(lambda obs: obs, **settings)


def test_an_action_outside_the_space_is_refused():
    with pytest.raises(TaskError, match=r"outside 0\.\.1"):
        load_teacher(
            lambda obs: np.full(len(obs), 7),
            observation_shape=(3,),
            action_space=spaces.Discrete(2),
        )


def test_our_own_policy_is_taken_as_it_is():
    policy = load_teacher(net(2), head=CategoricalHead(2))
    assert load_teacher(policy) is policy
    assert load_policy(policy) is policy
    with pytest.raises(TaskError, match="chooses among 2 actions, the task takes one of 3"):
        load_teacher(policy, action_space=spaces.Discrete(3))


def test_anything_else_is_refused_by_type():
    with pytest.raises(SettingError, match="got int"):
        load_teacher(3)


def test_reading_live_objects_imports_nothing_new():
    modules = set(sys.modules)
    load_teacher(net(2), head=CategoricalHead(2))
    assert not {name for name in set(sys.modules) - modules if "baselines" in name}
