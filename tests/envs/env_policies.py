"""Real policies as plain numpy functions, [B, O] float32 -> actions, for tests of environments.

Independent of the loaders under test elsewhere: the weights only, read by torch's safe reader.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

Policy = Callable[[np.ndarray], np.ndarray]


def mlp(weights: list[np.ndarray], biases: list[np.ndarray], activation) -> Policy:
    """weights are (out, in); the activation stands between layers, not after the last."""

    def forward(x: np.ndarray) -> np.ndarray:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = activation(x @ weight.T + bias)
        return x @ weights[-1].T + biases[-1]

    return forward


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sb3_policy(folder: Path) -> Policy:
    """The deterministic action of a teacher's folder, by its name and normaliser."""
    kind = folder.name.split("-")[0]
    return sb3_zip_policy(folder / "model.zip", kind, folder / "obs_rms.npz")


def sb3_zip_policy(file: Path, kind: str, statistics: Path | None = None) -> Policy:
    """The deterministic action of a stable-baselines3 zip with a 2-hidden-layer MLP."""
    with zipfile.ZipFile(file) as archive:
        state = torch.load(
            io.BytesIO(archive.read("policy.pth")), weights_only=True, map_location="cpu"
        )
    trunk, last, activation = {
        "dqn": ("q_net.q_net", "q_net.q_net.4", relu),
        "qrdqn": ("quantile_net.quantile_net", "quantile_net.quantile_net.4", relu),
        "sac": ("actor.latent_pi", "actor.mu", relu),
        "tqc": ("actor.latent_pi", "actor.mu", relu),
    }.get(kind, ("mlp_extractor.policy_net", "action_net", np.tanh))
    layers = [f"{trunk}.0", f"{trunk}.2", last]
    weights = [state[f"{layer}.weight"].numpy() for layer in layers]
    net = mlp(weights, [state[f"{layer}.bias"].numpy() for layer in layers], activation)
    net = net if statistics is None else normalised(net, statistics)
    if kind == "qrdqn":
        actions = 3  # Acrobot
        return lambda x: net(x).reshape(len(x), -1, actions).mean(1).argmax(-1)
    if kind in ("sac", "tqc"):
        return lambda x: np.tanh(net(x))
    return net if "log_std" in state else lambda x: net(x).argmax(-1)


def normalised(net: Policy, statistics: Path) -> Policy:
    if not statistics.exists():
        return net
    rms = np.load(statistics)
    scale = np.sqrt(rms["var"] + rms["eps"])
    clip = float(rms["clip"][0])
    return lambda x: net(np.clip((x - rms["mean"]) / scale, -clip, clip))


def cs285_policy(file: Path) -> Policy:
    """The mean action of a CS285 expert: normalised input, two tanh layers."""
    z = np.load(file)
    net = mlp([z["W0"].T, z["W1"].T, z["W_out"].T], [z["b0"], z["b1"], z["b_out"]], np.tanh)
    return lambda x: net((x - z["obs_mean"]) / (z["obs_std"] + 1e-6))


def mountain_car(x: np.ndarray) -> np.ndarray:
    """Push the way the car is moving: always reaches the flag."""
    return np.where(x[:, 1] >= 0, 2, 0)
