"""Zips for stable-baselines3: it loads them, they decide alike, and training goes on."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from subjects import FLAT, POLICY_SPACE, observations_of, student, subject, teachers

from rldistill import ExportSettings, export_policy, load_teacher
from rldistill.errors import SettingError
from rldistill.integrations import sb3_zip

stable_baselines3 = pytest.importorskip("stable_baselines3")
ALGORITHM = {
    "logits": ("PPO", {"n_steps": 16, "batch_size": 16, "n_epochs": 1}),
    "gaussian": ("PPO", {"n_steps": 16, "batch_size": 16, "n_epochs": 1}),
    "q": ("DQN", {"learning_starts": 4, "buffer_size": 100}),
    "squashed": ("SAC", {"learning_starts": 4, "buffer_size": 100}),
    "deterministic": ("TD3", {"learning_starts": 4, "buffer_size": 100}),
}


class Blank(gymnasium.Env):
    """Nothing happens for eight steps."""

    observation_space = FLAT

    def __init__(self, action_space: spaces.Space) -> None:
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.standard_normal(5).astype(np.float32), {}

    def step(self, action):
        self.t += 1
        return self.np_random.standard_normal(5).astype(np.float32), 1.0, self.t > 7, False, {}


@pytest.mark.parametrize("head", ALGORITHM)
def test_it_loads_predicts_alike_and_learns_on(head: str, tmp_path: Path) -> None:
    policy = student("mlp:8,6,relu", head)
    (one,) = export_policy(policy, tmp_path, "sb3", settings=ExportSettings(observations=100))
    name, settings = ALGORITHM[head]
    space = spaces.Discrete(4) if head in ("logits", "q") else POLICY_SPACE
    algorithm = getattr(stable_baselines3, name)
    model = algorithm.load(one.path, env=Blank(space), device="cpu", custom_objects=settings)
    rows = observations_of(policy, 1000)
    theirs, _ = model.predict(rows, deterministic=True)
    assert theirs == pytest.approx(policy.predict(rows)[0], abs=1e-5)
    before = {key: value.clone() for key, value in model.policy.state_dict().items()}
    model.learn(16 if name == "PPO" else 12)
    after = model.policy.state_dict()
    assert any((before[key] != after[key]).any() for key in before)
    assert one.contract["details"]["value_network"].startswith("new")


def test_stochastic_actions_keep_their_deviation(tmp_path: Path) -> None:
    policy = student("mlp:8", "gaussian")
    (one,) = export_policy(policy, tmp_path, "sb3", settings=ExportSettings(observations=10))
    model = stable_baselines3.PPO.load(one.path, device="cpu")
    assert model.policy.log_std.detach().numpy() == pytest.approx(
        policy.module.log_std.detach().numpy()
    )


def test_our_own_loader_reads_it(tmp_path: Path) -> None:
    policy = student("mlp:8,8", "squashed")
    (one,) = export_policy(policy, tmp_path, "sb3", settings=ExportSettings(observations=10))
    rows = observations_of(policy, 50)
    again = load_teacher(one.path, announce=None)
    assert again.predict(rows)[0] == pytest.approx(policy.predict(rows)[0], abs=1e-5)


@pytest.mark.parametrize("name", ["sac", "td3"])
def test_teachers_with_two_outputs_or_a_squash_go_too(name: str) -> None:
    case = subject(teachers()[name])
    run = sb3_zip.run(sb3_zip.build(case), case)
    rows = case.observations
    wanted = case.policy.predict(rows)[0]
    assert run(rows, None)["action"] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mlp:8,clip=3", "observation normaliser clips"),
        ("mlp:8,layernorm", "no place for a LayerNorm"),
    ],
)
def test_what_their_networks_cannot_be_is_named(spec: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        sb3_zip.build(subject(student(spec, "logits")))


def test_building_leaves_the_random_state_alone() -> None:
    """The value networks are drawn at random, and not from the caller's generator."""
    case = subject(student("mlp:8", "logits"))
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    sb3_zip.build(case)
    assert (torch.rand(3) == wanted).all()
