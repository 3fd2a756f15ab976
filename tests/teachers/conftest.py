"""Zips to read: teachers made by others, fresh ones of stable-baselines3, and hand-made bad ones."""

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
        model = algorithm(policy, env, device="cpu", seed=seed, **settings)
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
