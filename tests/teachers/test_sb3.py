"""Zips of stable-baselines3: what is recognised, said and refused."""

import json
import zipfile

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    NetworkPolicy,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import TaskError
from rldistill.teachers.load import load_teacher

# Acting parameters, counted by hand from the sizes of the layers.
SHARED = {
    "a2c-CartPole-v1": ("A2C (stable-baselines3 2.4.0a11): 4 -> 64 -> 64 -> 2 tanh", 4_610, 0.99),
    "dqn-CartPole-v1": ("DQN (stable-baselines3 1.0rc0): 4 -> 256 -> 256 -> 2 relu", 67_586, 0.99),
    "dqn-LunarLander-v2": (
        "DQN (stable-baselines3 1.0rc0): 8 -> 256 -> 256 -> 4 relu",
        69_124,
        0.99,
    ),
    "ppo-BipedalWalkerHardcore-v3": ("PPO (stable-baselines3 1.0rc1): 24 -> 64", 6_024, 0.99),
    "ppo-LunarLander-v2": ("PPO (stable-baselines3 1.0rc0): 8 -> 64 -> 64 -> 4 tanh", 4_996, 0.999),
    "ppo-Pendulum-v1": ("PPO (stable-baselines3 1.2.1a1): 3 -> 64 -> 64 -> 1 tanh", 4_545, 0.9),
    "qrdqn-Acrobot-v1": ("QRDQN (stable-baselines3 1.0rc0): 6 -> 256 -> 256 -> 75", 86_859, 0.99),
    "sac-HalfCheetah-v3": ("SAC (stable-baselines3 1.3.1a0): 17 -> 256 -> 256 -> 6", 73_484, 0.99),
    "sac-Pendulum-v1": ("SAC (stable-baselines3 version unknown): 3 -> 64 -> 64 -> 1", 4_545, 0.99),
    "tqc-HalfCheetah-v3": ("TQC (stable-baselines3 1.3.1a0): 17 -> 256 -> 256 -> 6", 73_484, 0.99),
    "trpo-CartPole-v1": ("TRPO (stable-baselines3 1.3.1a7): 4 -> 64 -> 64 -> 2", 4_610, 0.99),
    "trpo-LunarLanderContinuous-v2": ("TRPO (stable-baselines3 1.3.1a7): 8 -> 64", 4_868, 0.99),
    "trpo-Swimmer-v3": ("TRPO (stable-baselines3 1.3.1a7): 8 -> 64 -> 64 -> 2", 4_868, 0.9999),
}


@pytest.mark.parametrize("name", SHARED)
def test_one_line_says_what_was_found(name, shared_teachers):
    line, acting, gamma = SHARED[name]
    said: list[str] = []
    policy = load_teacher(shared_teachers / "sb3" / name / "model.zip", announce=said.append)
    assert said[0].startswith(line)
    assert f" {acting:,} acting parameters, value yes, gamma {gamma:g}" in said[0]
    assert policy.info.notes == tuple(said)
    assert policy.info.acting_parameters == acting
    assert policy.info.gamma == gamma
    assert policy.info.value_units == "raw"
    normalised = (shared_teachers / "sb3" / name / "obs_rms.npz").is_file()
    assert ("VecNormalize beside it: clip 10" in said[0]) == normalised


def test_a_shared_trunk_is_read_as_before_version_1_8(ppo_zip):
    """shared_net, then one layer each: compared with the same layers put together here."""
    torch.manual_seed(0)
    names = {
        "mlp_extractor.shared_net.0": (6, 3),
        "mlp_extractor.shared_net.2": (5, 6),
        "mlp_extractor.policy_net.0": (4, 5),
        "action_net": (2, 4),
        "value_net": (1, 5),
    }
    layers = {name: torch.nn.Linear(shape[1], shape[0]) for name, shape in names.items()}
    tensors = {
        f"{name}.{key}": tensor.detach()
        for name, layer in layers.items()
        for key, tensor in layer.named_parameters()
    }
    policy = load_teacher(ppo_zip(tensors))
    x = torch.randn(20, 3)
    with torch.no_grad():
        trunk = layers["mlp_extractor.shared_net.2"](
            layers["mlp_extractor.shared_net.0"](x).tanh()
        ).tanh()
        logits = layers["action_net"](layers["mlp_extractor.policy_net.0"](trunk).tanh())
        torch.testing.assert_close(policy.raw(x), logits)
        torch.testing.assert_close(policy.value(x), layers["value_net"](trunk).squeeze(-1))
    assert policy.info.acting_parameters == 24 + 35 + 24 + 10
    assert policy.info.parameters == policy.info.acting_parameters + 6


def test_the_module_is_a_plain_sequential_on_the_path_of_acting(ppo_zip):
    policy = load_teacher(ppo_zip())
    assert [type(layer).__name__ for layer in policy.module] == ["Linear", "Tanh", "Linear"]
    assert not policy.module.training
    assert not any(p.requires_grad for p in policy.module.parameters())
    assert isinstance(policy, NetworkPolicy)


def test_the_fingerprint_is_the_sha256_of_the_file(ppo_zip):
    import hashlib

    path = ppo_zip()
    assert load_teacher(path).info.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


def test_statistics_change_the_fingerprint(ppo_zip):
    """The same zip with another normaliser is another policy."""
    path = ppo_zip()
    prints = {load_teacher(path).info.fingerprint}
    for shift in (0.0, 1.0):
        np.savez(path.parent / "obs_rms.npz", mean=np.full(3, shift), var=np.ones(3))
        prints.add(load_teacher(path).info.fingerprint)
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("keys", "name"),
    [({"clip_range": 0.2}, "PPO"), ({"cg_damping": 0.1}, "TRPO"), ({"n_steps": 5}, "A2C")],
)
def test_algorithms_of_equal_networks_are_told_apart_by_their_settings(keys, name, ppo_zip):
    assert load_teacher(ppo_zip(data=keys)).info.name == name


def test_the_heads_are_those_of_the_action_spaces(saved, blank):
    sb3 = pytest.importorskip("stable_baselines3")
    small = {"policy_kwargs": {"net_arch": [4]}}
    replay = small | {"buffer_size": 5}
    box = spaces.Box(-2.0, 3.0, (1,), np.float32)
    for algorithm, action, head, settings in (
        (sb3.PPO, 3, CategoricalHead(3), small),
        (sb3.PPO, box, GaussianHead((-2.0,), (3.0,)), small),
        (sb3.DQN, 3, QValueHead(3), replay),
        (sb3.SAC, box, SquashedGaussianHead((-2.0,), (3.0,)), replay),
        (sb3.TD3, box, DeterministicHead((-2.0,), (3.0,)), replay),
    ):
        _, path = saved(algorithm, blank(2, action), **settings)
        assert load_teacher(path).info.head == head


def rewritten(path, change) -> None:
    """Change the JSON of a zip in place."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(entries["data"])
    change(data)
    entries["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def test_squashed_actions_without_known_bounds_need_the_task(saved, blank):
    sac = pytest.importorskip("stable_baselines3").SAC
    box = spaces.Box(-2.0, 3.0, (1,), np.float32)
    _, path = saved(sac, blank(2, box), buffer_size=5, policy_kwargs={"net_arch": [4]})
    rewritten(path, lambda data: data.pop("action_space"))
    with pytest.raises(TaskError, match=r"does not tell; give action_space"):
        load_teacher(path)
    policy = load_teacher(path, action_space=box)
    assert policy.info.head == SquashedGaussianHead((-2.0,), (3.0,))
    assert "action bounds taken from the task" in policy.info.notes
    endless = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    with pytest.raises(TaskError, match="give action_space"):
        load_teacher(path, action_space=endless)


def test_other_bounds_than_the_task_has_are_noted(saved, blank):
    td3 = pytest.importorskip("stable_baselines3").TD3
    _, path = saved(td3, blank(2, spaces.Box(-2.0, 2.0, (1,), np.float32)), buffer_size=5)
    policy = load_teacher(path, action_space=spaces.Box(-1.0, 1.0, (1,), np.float32))
    assert policy.info.head == DeterministicHead((-2.0,), (2.0,))
    assert any("are not the task's" in note for note in policy.info.notes)


def test_without_an_entropy_coefficient_sac_has_no_value(saved, blank):
    sac = pytest.importorskip("stable_baselines3").SAC
    box = spaces.Box(-1.0, 1.0, (1,), np.float32)
    _, path = saved(
        sac, blank(2, box), buffer_size=5, ent_coef=0.25, policy_kwargs={"net_arch": [4]}
    )
    assert any("0.25 log pi" in note for note in load_teacher(path).info.notes)
    with zipfile.ZipFile(path) as archive:
        entries = {n: archive.read(n) for n in archive.namelist() if n != "pytorch_variables.pth"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    assert load_teacher(path).info.value_units == "raw"  # the coefficient is in the JSON as well
    rewritten(path, lambda data: data.update(ent_coef="auto"))
    policy = load_teacher(path)
    assert policy.info.value_units == "none"
    with pytest.raises(TaskError, match="no value function"):
        policy.value(torch.zeros(1, 2))
