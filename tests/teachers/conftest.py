"""Zips to read: fresh ones of stable-baselines3 and hand-made ones; parity with the former."""

import copy
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.core import CategoricalHead, DeterministicHead, QValueHead
from rldistill.teachers.sb3_actor import NUM_DRAWS, draws

Entries = Mapping[str, bytes]


class Blank(gymnasium.Env):
    """An environment of given spaces in which nothing happens."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space) -> None:
        self.observation_space = observation_space
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


@pytest.fixture(scope="session")
def blank() -> Callable[[int, Any], gymnasium.Env]:
    """blank(O, action) makes an environment of O observations and n actions or a Box."""

    def make(observation: int, action: int | spaces.Space) -> gymnasium.Env:
        box = spaces.Box(-np.inf, np.inf, (observation,), np.float32)
        return Blank(box, spaces.Discrete(action) if isinstance(action, int) else action)

    return make


@pytest.fixture(scope="session")
def saved(blank, tmp_path_factory) -> Callable[..., tuple[Any, Path]]:
    """saved(Algorithm, env, policy, **settings): a model with random weights, and its zip."""

    def make(algorithm, env, policy="MlpPolicy", seed=0, **settings) -> tuple[Any, Path]:
        model = algorithm(policy, env, device="cpu", seed=seed, **copy.deepcopy(settings))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in model.policy.parameters():
                weight += 0.2 * torch.randn(weight.shape, generator=generator)
        path = tmp_path_factory.mktemp("saved") / "model.zip"
        model.save(path)
        return model, path

    return make


@pytest.fixture(scope="session")
def write_zip() -> Callable[[Path, Entries], Path]:
    """write_zip(path, entries) stores entries without compression, as stable-baselines3 does."""

    def write(path: Path, entries: Entries) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
        return path

    return write


@pytest.fixture(scope="session")
def state_file() -> Callable[[Mapping[str, torch.Tensor]], bytes]:
    """state_file(tensors): the bytes of torch.save."""

    def save(tensors: Mapping[str, torch.Tensor]) -> bytes:
        stream = io.BytesIO()
        torch.save(dict(tensors), stream)
        return stream.getvalue()

    return save


@pytest.fixture(scope="session")
def ppo_tensors() -> Callable[..., dict[str, torch.Tensor]]:
    """ppo_tensors(): the state dict of a PPO policy 3 -> 5 -> 2 with seeded random weights."""

    def make(observation: int = 3, hidden: int = 5, actions: int = 2) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        shapes = {
            "mlp_extractor.policy_net.0": (hidden, observation),
            "mlp_extractor.value_net.0": (hidden, observation),
            "action_net": (actions, hidden),
            "value_net": (1, hidden),
        }
        tensors = {}
        for name, shape in shapes.items():
            tensors[f"{name}.weight"] = torch.randn(shape, generator=generator)
            tensors[f"{name}.bias"] = torch.randn(shape[:1], generator=generator)
        return tensors

    return make


@pytest.fixture
def ppo_zip(tmp_path, write_zip, state_file, ppo_tensors) -> Callable[..., Path]:
    """ppo_zip(tensors, data): a zip with hand-made tensors and JSON."""

    def make(tensors=None, data: Mapping[str, Any] | bytes | None = None, **more: bytes) -> Path:
        settings = {"clip_range": 0.2, "gamma": 0.9} if data is None else data
        packed = settings if isinstance(settings, bytes) else json.dumps(settings).encode()
        policy = state_file(ppo_tensors() if tensors is None else tensors)
        entries = {"data": packed, "policy.pth": policy} | more
        return write_zip(tmp_path / "model.zip", entries)

    return make


# --- parity with stable-baselines3 ----------------------------------------------------------------

TOLERANCE = 1e-5


def assert_close(ours: Tensor, theirs: Any, scale: float = 1.0) -> None:
    """|ours - theirs| <= 1e-5 max(scale, |theirs|) in every number."""
    other = torch.as_tensor(theirs).reshape(ours.shape)
    worst = float(((ours - other).abs() / other.abs().clamp(min=scale)).max())
    assert worst <= TOLERANCE, f"differs by {worst:.3g}, allowed is {TOLERANCE}"


def assert_same_choice(ours: Tensor, theirs: np.ndarray, scores: Tensor) -> None:
    """Equal actions, ties of the scores left out."""
    best = scores.topk(2, -1).values
    clear = best[:, 0] - best[:, 1] > TOLERANCE * scores.abs().amax(-1).clamp(min=1.0)
    assert clear.float().mean() > 0.99
    assert torch.equal(ours[clear], torch.as_tensor(theirs)[clear])


@pytest.fixture(scope="session")
def assert_parity() -> Callable[..., None]:
    """assert_parity(policy, model, raw, normalised, reward_std, every): outputs, actions, values.

    policy sees raw observations [N, O], the model normalised ones. `every` leaves out states for
    the value of SAC and TQC, which takes 16 forward passes of their critics.

    The rule: no number differs by more than 1e-5 max(1, its magnitude), for values 1e-5 max(1, its
    magnitude, their root mean square), since a small value is a difference of large numbers.
    Discrete actions are equal wherever the two best scores differ by more than 1e-5 max(1, the
    largest score of that state).
    """
    return compare


@torch.no_grad()
def compare(policy, model, raw, normalised, reward_std: float = 1.0, every: int = 1) -> None:
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
        values = reward_std * value_of(model, theirs[::every])
        scale = max(1.0, float(values.square().mean().sqrt()))
        assert_close(policy.value(torch.from_numpy(raw[::every])), values, scale)


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


def value_of(model, x: Tensor) -> Tensor:
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
