"""Parity: our reading of a file gives what stable-baselines3's own policy gives.

The rule is in conftest.py.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.teachers.load import load_teacher

pytest.importorskip("sb3_contrib")
import sb3_contrib
import stable_baselines3
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

ALGORITHMS = {
    name: getattr(stable_baselines3, name, None) or getattr(sb3_contrib, name)
    for name in ("PPO", "A2C", "TRPO", "DQN", "QRDQN", "SAC", "TD3", "DDPG", "TQC", "ARS")
}
NUM_OBSERVATIONS = 10_000


def box(size: int, bound: float = 1.0) -> spaces.Box:
    return spaces.Box(-bound, bound, (size,), np.float32)


# Folder: observation size, action space, typical size of an observation's entries.
SHARED: dict[str, tuple[int, spaces.Space, float]] = {
    "a2c-CartPole-v1": (4, spaces.Discrete(2), 0.2),
    "dqn-CartPole-v1": (4, spaces.Discrete(2), 0.2),
    "dqn-LunarLander-v2": (8, spaces.Discrete(4), 0.5),
    "ppo-BipedalWalkerHardcore-v3": (24, box(4), 0.5),
    "ppo-LunarLander-v2": (8, spaces.Discrete(4), 0.5),
    "ppo-Pendulum-v1": (3, box(1, 2.0), 1.0),
    "qrdqn-Acrobot-v1": (6, spaces.Discrete(3), 1.0),
    "sac-HalfCheetah-v3": (17, box(6), 1.0),
    "sac-Pendulum-v1": (3, box(1, 2.0), 1.0),
    "tqc-HalfCheetah-v3": (17, box(6), 1.0),
    "trpo-CartPole-v1": (4, spaces.Discrete(2), 0.2),
    "trpo-LunarLanderContinuous-v2": (8, box(2), 0.5),
    "trpo-Swimmer-v3": (8, box(2), 0.5),
}
# Arguments of the policy that only a pickle in the file has.
KWARGS = {
    "qrdqn-Acrobot-v1": {"net_arch": [256, 256], "n_quantiles": 25},
    "sac-Pendulum-v1": {"net_arch": [64, 64], "use_sde": True},
}


def observations(size: int, typical: float, seed: int = 0) -> np.ndarray:
    """10,000 observations [N, O]: typical ones, standard normal ones, and wide ones."""
    rng = np.random.default_rng(seed)
    scale = np.repeat([typical, 1.0, 10.0], [4_000, 4_000, 2_000])[:, None]
    assert len(scale) == NUM_OBSERVATIONS
    return (rng.standard_normal((NUM_OBSERVATIONS, size)) * scale).astype(np.float32)


# --- the teachers that others made ----------------------------------------------------------------


def load_in_sb3(folder: Path, name: str) -> Any:
    """Load with a substitute for every pickled key, so that stable-baselines3 unpickles nothing."""
    size, action_space, _ = SHARED[name]
    with zipfile.ZipFile(folder / "model.zip") as archive:
        data = json.loads(archive.read("data"))
    custom: dict[str, Any] = {
        key: None
        for key, entry in data.items()
        if isinstance(entry, dict) and ":serialized:" in entry
    }
    algorithm = ALGORITHMS[name.split("-")[0].upper()]
    custom |= {
        "observation_space": spaces.Box(-np.inf, np.inf, (size,), np.float32),
        "action_space": action_space,
        "policy_class": algorithm.policy_aliases["MlpPolicy"],
        "lr_schedule": lambda _: 0.0,
        "learning_rate": 0.0,
        "clip_range": lambda _: 0.2,
        "train_freq": (1, "step"),
        "target_entropy": -1.0,
        "exploration_schedule": lambda _: 0.0,
        "policy_kwargs": KWARGS.get(name, data["policy_kwargs"]),
    }
    if ":serialized:" in custom["policy_kwargs"]:
        custom["policy_kwargs"] = {}
    custom.pop("replay_buffer_class", None)
    custom.pop("rollout_buffer_class", None)
    if "replay_buffer_class" in data:
        custom["replay_buffer_class"] = None
    if "rollout_buffer_class" in data:
        custom["rollout_buffer_class"] = stable_baselines3.common.buffers.RolloutBuffer
    return algorithm.load(folder / "model.zip", device="cpu", custom_objects=custom, buffer_size=1)


def normalise(folder: Path, raw: np.ndarray, blank) -> np.ndarray:
    """As stable-baselines3's own VecNormalize, its statistics put in from the plain arrays."""
    if not (folder / "obs_rms.npz").is_file():
        return raw
    arrays = np.load(folder / "obs_rms.npz")
    env = VecNormalize(
        DummyVecEnv([lambda: blank(raw.shape[1], 2)]),
        clip_obs=float(arrays["clip"][0]),
        epsilon=float(arrays["eps"][0]),
    )
    env.obs_rms.mean, env.obs_rms.var = arrays["mean"], arrays["var"]
    return env.normalize_obs(raw)


@pytest.mark.filterwarnings("ignore:You are probably loading:UserWarning")
@pytest.mark.parametrize(
    ("name", "every"),
    [(name, 8 if "HalfCheetah" in name else 1) for name in SHARED]
    + [
        pytest.param("sac-HalfCheetah-v3", 1, marks=pytest.mark.slow),
        pytest.param("tqc-HalfCheetah-v3", 1, marks=pytest.mark.slow),
    ],
)
def test_a_shared_teacher_is_what_stable_baselines3_makes_of_it(
    name, every, shared_teachers, blank, assert_parity
):
    folder = shared_teachers / "sb3" / name
    size, action_space, typical = SHARED[name]
    task = {"observation_shape": (size,), "action_space": action_space}
    policy = load_teacher(folder / "model.zip", **task)
    raw = observations(size, typical)
    model, normalised = load_in_sb3(folder, name), normalise(folder, raw, blank)
    scale = [float(n.split()[2].rstrip(",")) for n in policy.info.notes if "undoes" in n]
    assert len(scale) == (folder / "vecnormalize.pkl").is_file()
    assert_parity(policy, model, raw, normalised, reward_std=[*scale, 1.0][0], every=every)


# --- fresh models of every algorithm, with unusual settings ---------------------------------------

ACTIVATIONS = torch.nn
FRESH: dict[str, tuple[str, int, Any, dict[str, Any]]] = {
    "PPO default": ("PPO", 4, 3, {}),
    "PPO apart, ELU": (
        "PPO",
        5,
        3,
        {"net_arch": {"pi": [7], "vf": [9, 6, 5]}, "activation_fn": ACTIVATIONS.ELU},
    ),
    "PPO no layers": ("PPO", 4, box(2), {"net_arch": []}),
    "PPO only vf": ("PPO", 4, 2, {"net_arch": {"vf": [8]}}),
    "PPO only pi": ("PPO", 4, 2, {"net_arch": {"pi": [8]}}),
    "PPO Gaussian, SiLU": (
        "PPO",
        6,
        box(3, 2.5),
        {"activation_fn": ACTIVATIONS.SiLU, "net_arch": [16]},
    ),
    "PPO PReLU": ("PPO", 4, 2, {"activation_fn": ACTIVATIONS.PReLU, "net_arch": [8, 8]}),
    "PPO gSDE": ("PPO", 4, box(2), {"use_sde": True}),
    "PPO gSDE squashed expln": (
        "PPO",
        4,
        box(2, 3.0),
        {"use_sde": True, "squash_output": True, "use_expln": True},
    ),
    "PPO gSDE one std": ("PPO", 4, box(2), {"use_sde": True, "full_std": False}),
    "A2C": ("A2C", 3, 2, {"net_arch": [10], "activation_fn": ACTIVATIONS.LeakyReLU}),
    "A2C Gaussian": ("A2C", 3, box(1), {}),
    "TRPO": ("TRPO", 3, box(2), {"net_arch": [12, 12]}),
    "DQN": ("DQN", 4, 3, {"net_arch": [16, 8]}),
    "DQN no layers": ("DQN", 4, 3, {"net_arch": []}),
    "DQN GELU": ("DQN", 4, 3, {"activation_fn": ACTIVATIONS.GELU}),
    "QRDQN": ("QRDQN", 4, 3, {"net_arch": [16], "n_quantiles": 7}),
    "QRDQN default quantiles": ("QRDQN", 4, 2, {}),
    "SAC": ("SAC", 4, box(2, 2.0), {"net_arch": [16, 16]}),
    "SAC apart, 3 critics": (
        "SAC",
        4,
        box(2),
        {"net_arch": {"pi": [8], "qf": [9, 10]}, "n_critics": 3, "activation_fn": ACTIVATIONS.ELU},
    ),
    "SAC no layers": ("SAC", 4, box(2), {"net_arch": []}),
    "SAC gSDE": ("SAC", 4, box(2), {"use_sde": True, "net_arch": [16]}),
    "SAC gSDE expln, clip 0.5": (
        "SAC",
        4,
        box(2),
        {"use_sde": True, "use_expln": True, "clip_mean": 0.5, "net_arch": [16]},
    ),
    "SAC gSDE unclipped": ("SAC", 4, box(2), {"use_sde": True, "clip_mean": 0.0, "net_arch": [16]}),
    "TQC": ("TQC", 4, box(2), {"net_arch": [16], "n_quantiles": 9, "n_critics": 3}),
    "TQC gSDE": ("TQC", 4, box(2), {"use_sde": True, "net_arch": [16]}),
    "TD3": ("TD3", 4, box(2, 2.0), {"net_arch": [16, 8]}),
    "TD3 no layers": ("TD3", 4, box(2), {"net_arch": []}),
    "DDPG": ("DDPG", 4, box(2), {"net_arch": [16], "activation_fn": ACTIVATIONS.Tanh}),
    "ARS MLP": ("ARS", 4, box(2, 2.0), {}),
    "ARS MLP unsquashed": ("ARS", 4, box(2), {"squash_output": False}),
    "ARS no layers": ("ARS", 4, box(2), {"net_arch": []}),
    "ARS discrete": ("ARS", 4, 3, {"net_arch": [8]}),
    "ARS linear": ("ARS LinearPolicy", 4, box(2), {}),
    "ARS linear squashed, bias": (
        "ARS LinearPolicy",
        4,
        box(2),
        {"squash_output": True, "with_bias": True},
    ),
    "ARS linear discrete": ("ARS LinearPolicy", 4, 3, {}),
}
OFF_POLICY = ("DQN", "QRDQN", "SAC", "TD3", "DDPG", "TQC")


@pytest.mark.parametrize("case", FRESH)
def test_a_fresh_model_is_what_stable_baselines3_makes_of_it(case, saved, blank, assert_parity):
    """From its zip, and as a live object, which is read without one."""
    words, size, action, kwargs = FRESH[case]
    name, *policy_name = words.split()
    settings: dict[str, Any] = {"buffer_size": 10} if name in OFF_POLICY else {}
    if "use_sde" in kwargs:
        kwargs = {k: v for k, v in kwargs.items() if k != "use_sde"}
        settings["use_sde"] = True
    env = blank(size, action)
    model, path = saved(ALGORITHMS[name], env, *policy_name, policy_kwargs=kwargs, **settings)
    raw = observations(size, 1.0)[::10]
    for source in (path, model):
        policy = load_teacher(source, observation_shape=(size,), action_space=env.action_space)
        assert policy.info.name == name
        assert_parity(policy, model, raw, raw)


def test_every_supported_algorithm_has_a_fresh_case():
    assert {words.split()[0] for words, *_ in FRESH.values()} == set(ALGORITHMS)
