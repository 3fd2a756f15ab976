"""Parity: our reading of a file gives what stable-baselines3's own policy gives.

The rule: with s = max(1, largest magnitude of stable-baselines3's output over the batch), no output
differs by more than 1e-5 s; actions are equal wherever the two best differ by more than 1e-5 of that state's largest score (or 1e-5, if that is more).
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.core import CategoricalHead, DeterministicHead, QValueHead
from rldistill.teachers.load import load_teacher
from rldistill.teachers.sb3_actor import NUM_DRAWS, draws

pytest.importorskip("sb3_contrib")
import sb3_contrib
import stable_baselines3
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

ALGORITHMS = {
    name: getattr(stable_baselines3, name, None) or getattr(sb3_contrib, name)
    for name in ("PPO", "A2C", "TRPO", "DQN", "QRDQN", "SAC", "TD3", "DDPG", "TQC", "ARS")
}
TOLERANCE = 1e-5
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


def assert_close(ours: Tensor, theirs: Any) -> None:
    """The rule of this file; prints the largest difference when it is broken."""
    other = torch.as_tensor(theirs).reshape(ours.shape)
    scale = max(1.0, float(other.abs().max()))
    worst = float((ours - other).abs().max())
    assert worst <= TOLERANCE * scale, f"differs by {worst:.3g}, allowed is {TOLERANCE * scale:.3g}"


def assert_same_choice(ours: Tensor, theirs: np.ndarray, scores: Tensor) -> None:
    """Equal actions, ties of the scores left out."""
    best = scores.topk(2, -1).values
    clear = best[:, 0] - best[:, 1] > TOLERANCE * scores.abs().amax(-1).clamp(min=1.0)
    assert clear.float().mean() > 0.99
    assert torch.equal(ours[clear], torch.as_tensor(theirs)[clear])


@torch.no_grad()
def assert_parity(
    policy, model, raw: np.ndarray, normalised: np.ndarray, reward_std: float
) -> None:
    """Distribution, mode and value of policy on raw observations equal the model's."""
    ours, theirs = policy(torch.from_numpy(raw)), torch.from_numpy(normalised)
    head = policy.info.head
    actions, _ = model.predict(normalised, deterministic=True)
    if isinstance(head, (CategoricalHead, QValueHead)):
        scores = discrete_scores(model, theirs)
        if policy.info.name in ("PPO", "A2C", "TRPO"):
            assert_close(ours.logits.log_softmax(-1), scores)
        else:
            assert_close(ours.logits, scores)
        assert_same_choice(ours.mode(), actions, scores)
    else:
        low, high = torch.tensor(head.low), torch.tensor(head.high)
        assert_close(ours.mode().clamp(low, high), actions)
        if not isinstance(head, DeterministicHead):
            mean, std = gaussian_parameters(model, theirs)
            assert_close(ours.mean, mean)
            assert_close(ours.log_std, std.log())
            assert_close(ours.log_std.exp(), std)
    if policy.critic is not None:
        assert_close(policy.value(torch.from_numpy(raw)), reward_std * value(model, theirs))


def discrete_scores(model, x: Tensor) -> Tensor:
    name = type(model).__name__
    if name == "DQN":
        return model.q_net(x)
    if name == "QRDQN":
        return model.quantile_net(x).mean(1)
    if name == "ARS":
        return model.policy.action_net(x)
    return model.policy.get_distribution(x).distribution.logits


def gaussian_parameters(model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation before any squashing, from the policy's own distribution."""
    if type(model).__name__ not in ("SAC", "TQC"):
        distribution = model.policy.get_distribution(x).distribution
        return distribution.mean, distribution.stddev
    mean, log_std, more = model.actor.get_action_dist_params(x)
    distribution = model.actor.action_dist.proba_distribution(mean, log_std, **more).distribution
    return distribution.mean, distribution.stddev


def value(model, x: Tensor) -> Tensor:
    """The value as documented, computed with the model's own networks and distributions."""
    name = type(model).__name__
    if name in ("DQN", "QRDQN"):
        return discrete_scores(model, x).max(-1).values
    if name in ("TD3", "DDPG"):
        return torch.cat(model.critic(x, model.actor(x)), -1).min(-1).values
    if name in ("PPO", "A2C", "TRPO"):
        return model.policy.predict_values(x).squeeze(-1)
    # In float64: near +-1 the density of a squashed action has no correct digit in float32.
    mean, std = (parameter.double() for parameter in gaussian_parameters(model, x))
    total = torch.zeros(len(x), dtype=torch.float64)
    for noise in draws(mean.shape[-1]).double():
        u = mean + std * noise
        log_pi = torch.distributions.Normal(mean, std).log_prob(u).sum(-1)
        log_pi -= torch.log(1.0 - u.tanh() ** 2 + 1e-6).sum(-1)
        quantiles = model.critic(x, u.tanh().float())
        if name == "SAC":
            q = torch.cat(quantiles, -1).min(-1).values
        else:
            drop = model.top_quantiles_to_drop_per_net * model.critic.n_critics
            q = quantiles.flatten(1).sort(-1).values[:, :-drop].mean(-1)
        alpha = model.ent_coef_tensor if model.log_ent_coef is None else model.log_ent_coef.exp()
        total += q - float(alpha) * log_pi
    return total / NUM_DRAWS


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
@pytest.mark.parametrize("name", SHARED)
def test_a_shared_teacher_is_what_stable_baselines3_makes_of_it(name, shared_teachers, blank):
    folder = shared_teachers / "sb3" / name
    size, action_space, typical = SHARED[name]
    policy = load_teacher(
        folder / "model.zip", observation_shape=(size,), action_space=action_space
    )
    raw = observations(size, typical)
    normalised = normalise(folder, raw, blank)
    reward_std = (
        1.0
        if normalised is raw
        else next(
            float(note.split()[2].rstrip(",")) for note in policy.info.notes if "undoes" in note
        )
    )
    assert_parity(policy, load_in_sb3(folder, name), raw, normalised, reward_std)


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
def test_a_fresh_model_is_what_stable_baselines3_makes_of_it(case, saved, blank):
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
        assert_parity(policy, model, raw, raw, 1.0)


def test_every_supported_algorithm_has_a_fresh_case():
    assert {words.split()[0] for words, *_ in FRESH.values()} == set(ALGORITHMS)
