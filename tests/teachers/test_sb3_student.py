"""Models of stable-baselines3 as students: every weight finds its way back."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.core import CategoricalHead, GaussianHead, SquashedGaussianHead, head_for
from rldistill.errors import ShapeError, TaskError
from rldistill.teachers.live import from_sb3_model, is_sb3_model
from rldistill.teachers.load import load_policy
from rldistill.teachers.sb3_student import names_of_weights, sb3_student, write_into_model

BOX = spaces.Box(np.float32([-2.0, 0.0]), np.float32([2.0, 1.0]))

CASES = [
    ("stable_baselines3", "PPO", 3, {}),
    ("stable_baselines3", "PPO", BOX, {}),
    ("stable_baselines3", "PPO", BOX, {"use_sde": True}),
    ("stable_baselines3", "A2C", 3, {"policy_kwargs": {"activation_fn": torch.nn.PReLU}}),
    ("stable_baselines3", "DQN", 3, {}),
    ("stable_baselines3", "SAC", BOX, {}),
    ("stable_baselines3", "SAC", BOX, {"use_sde": True}),
    ("stable_baselines3", "TD3", BOX, {}),
    ("stable_baselines3", "DDPG", BOX, {}),
    ("sb3_contrib", "TRPO", 3, {}),
    ("sb3_contrib", "QRDQN", 3, {}),
    ("sb3_contrib", "TQC", BOX, {}),
    ("sb3_contrib", "ARS", 3, {}),
]


def model_of(saved, blank, package, name, action, settings):
    algorithm = getattr(pytest.importorskip(package), name)
    policy = "MlpPolicy"
    small = {"net_arch": [8, 8]} | settings.get("policy_kwargs", {})
    return saved(algorithm, blank(4, action), policy, **(settings | {"policy_kwargs": small}))[0]


def required(model):
    own = from_sb3_model(model).info.head
    return head_for(model.action_space, own)


@pytest.mark.parametrize(("package", "name", "action", "settings"), CASES)
def test_predict_is_the_student_after_its_weights_are_written_back(
    saved, blank, package, name, action, settings
):
    """All weights move by a random amount; the model then acts as our network does."""
    model = model_of(saved, blank, package, name, action, settings)
    student = sb3_student(model, required(model))
    moved = [p for p in student.module.parameters() if p.requires_grad]
    assert moved
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in moved:
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    states = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
    before = model.predict(states, deterministic=True)[0]
    write_into_model(student.module, model)
    after = model.predict(states, deterministic=True)[0]
    ours, _ = student.predict(states)
    np.testing.assert_allclose(after, ours, atol=1e-5)
    assert not np.allclose(before, after)
    again = from_sb3_model(model).module.state_dict()
    assert all(torch.equal(x, again[key]) for key, x in student.module.state_dict().items())


def test_weights_of_equal_shape_are_not_confused(saved, blank):
    """Square layers: only names can tell them apart."""
    model = model_of(saved, blank, "stable_baselines3", "PPO", BOX, {})
    assert names_of_weights(model) == {
        "0.weight": "mlp_extractor.policy_net.0.weight",
        "0.bias": "mlp_extractor.policy_net.0.bias",
        "2.weight": "mlp_extractor.policy_net.2.weight",
        "2.bias": "mlp_extractor.policy_net.2.bias",
        "4.log_std": "log_std",
        "4.mean.weight": "action_net.weight",
        "4.mean.bias": "action_net.bias",
    }


def test_the_model_is_not_touched_before(saved, blank):
    """Making a student of it copies; critics are never written."""
    model = model_of(saved, blank, "stable_baselines3", "SAC", BOX, {})
    before = {name: x.clone() for name, x in model.policy.state_dict().items()}
    student = sb3_student(model, required(model))
    with torch.no_grad():
        for parameter in student.module.parameters():
            parameter += 1.0
    assert all(torch.equal(x, before[k]) for k, x in model.policy.state_dict().items())
    write_into_model(student.module, model)
    changed = {k for k, x in model.policy.state_dict().items() if not torch.equal(x, before[k])}
    assert changed == {k for k in before if k.startswith("actor.")}


def test_another_family_is_refused_with_algorithms_that_fit(saved, blank):
    model = model_of(saved, blank, "stable_baselines3", "PPO", BOX, {})
    low, high = (-2.0, 0.0), (2.0, 1.0)
    with pytest.raises(
        TaskError, match=r"a live PPO, gives Gaussian .* SquashedGaussian ones: SAC"
    ):
        sb3_student(model, SquashedGaussianHead(low, high))
    with pytest.raises(TaskError, match="make the model with an environment of this task"):
        sb3_student(model, GaussianHead(low, (2.0, 3.0)))
    with pytest.raises(TaskError, match="Categorical ones: PPO, A2C, TRPO or DQN would fit"):
        sb3_student(model, CategoricalHead(3))


def test_a_network_of_another_size_does_not_fit_back(saved, blank):
    one = model_of(saved, blank, "stable_baselines3", "PPO", 3, {})
    other = model_of(
        saved, blank, "stable_baselines3", "PPO", 3, {"policy_kwargs": {"net_arch": [9, 9]}}
    )
    with pytest.raises(ShapeError, match="another architecture"):
        write_into_model(sb3_student(one, CategoricalHead(3)).module, other)


def test_models_are_told_by_their_class(saved, blank):
    """Not by attributes that anything may have."""
    model = model_of(saved, blank, "stable_baselines3", "PPO", 3, {})

    class Lookalike:
        policy = model.policy

    Lookalike.__module__ = "stable_baselines3.fake"
    assert is_sb3_model(model)
    assert not is_sb3_model(Lookalike())
    assert not is_sb3_model(model.policy)
    assert not is_sb3_model(type(model))


def test_load_policy_needs_a_run_folder_for_a_model(saved, blank, tmp_path):
    from rldistill.errors import SettingError

    model = model_of(saved, blank, "stable_baselines3", "PPO", 3, {})
    with pytest.raises(SettingError, match="module belongs to the run folder of a live student"):
        load_policy(tmp_path, module=model)
