"""CleanRL's `.cleanrl_model` files: state dicts, read by what their tensors are called.

DQN, C51 and Q-Dagger save a Q-network; PPO an agent; SAC, TD3 and DDPG an actor with its critics.
Source: the scripts of CleanRL (Huang et al. 2022, JMLR 23).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import NetworkPolicy
from rldistill.errors import TeacherFileError
from rldistill.teachers.archive import read_file, safe_text
from rldistill.teachers.assemble import Origin, assemble
from rldistill.teachers.cleanrl_actor import (
    UNNORMALISED,
    read_agent,
    read_continuous,
    read_discrete_sac,
)
from rldistill.teachers.cleanrl_q import read_c51, read_q
from rldistill.teachers.networks import Bounds, Networks
from rldistill.teachers.spaces import record_of_space
from rldistill.teachers.tensors import read_saved
from rldistill.teachers.vecnormalize import find_statistics, load_statistics
from rldistill.teachers.weights import Weights

SUFFIX = ".cleanrl_model"
SUPPORTED = "DQN, C51, PPO, SAC, TD3, DDPG and Q-Dagger"
CRITICS = ("qf1", "qf2")


def load_cleanrl(
    path: Path,
    vecnormalize: Path | None,
    observation_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
) -> NetworkPolicy:
    """The policy in a file that a script of CleanRL saved.

    Args:
        path: of torch.save.
        vecnormalize: npz with mean and var of the observations, which CleanRL does not save; None
            looks beside the file.
        observation_shape: of the task; the size of pictures that the weights do not tell.
        action_space: of the task, for the bounds of PPO's actions.

    Raises:
        TeacherFileError: damaged, or of no network of these scripts.
        UnsafeFileError: beyond the bounds.
        NotFiniteError: a weight is NaN or infinite.
        MisfitError: pictures of the task do not fit.
    """
    data, what = read_file(path), str(path)
    file = _read(data, what)
    record = record_of_space(action_space)
    known = record.low is not None and record.high is not None
    bounds = Bounds(record.low or (), record.high or (), of_task=True) if known else None
    weights = Weights(file.tensors, what)
    networks = _networks(weights, bounds, observation_shape)
    weights.finish()
    digest = hashlib.sha256(data).hexdigest()
    beside = vecnormalize or find_statistics(path)
    if beside is not None:
        statistics = load_statistics(beside)
        layer = statistics.layer()
        if layer is None or networks.shape or layer.mean.numel() != networks.sizes[0]:
            raise TeacherFileError(
                f"{beside}: statistics of {networks.sizes[0]} numbers are required by {what}"
            )
        notes = tuple(note for note in networks.notes if note != UNNORMALISED)
        critic = None if networks.critic is None else nn.Sequential(layer, networks.critic)
        networks = replace(networks, actor=[layer, *networks.actor], critic=critic, notes=notes)
        digest = hashlib.sha256(digest.encode() + statistics.data).hexdigest()
    # ppo_continuous_action.py normalises rewards; the other scripts do not.
    units = "normalised" if networks.algorithm == "PPO continuous" else "raw"
    origin = Origin(
        framework="CleanRL",
        source=what,
        fingerprint=digest,
        gamma=file.gamma,
        value_units=units,
    )
    return assemble(replace(networks, algorithm=networks.algorithm.split()[0]), origin)


@final
@dataclass(frozen=True, slots=True)
class _File:
    tensors: dict[str, Tensor]
    gamma: float | None = None


def _read(data: bytes, what: str) -> _File:
    """Tensors by name, "actor.", "qf1." and "qf2." before those of a tuple of state dicts."""
    saved = read_saved(data, what)
    content = saved.content
    if isinstance(content, (tuple, list)):
        parts: list[Any] = list(content)
        if not 1 <= len(parts) <= 3:
            raise TeacherFileError(f"{what}: {len(parts)} state dicts; 1 to 3 are required")
        named: dict[str, Tensor] = {}
        for prefix, part in zip(("actor", *CRITICS), parts, strict=False):
            named |= {f"{prefix}.{key}": tensor for key, tensor in saved.tensors(part).items()}
        return _File(named)
    if isinstance(content, Mapping) and "model_weights" in content:
        return _File(saved.tensors(content["model_weights"]), _gamma(content.get("args")))
    tensors = saved.tensors(content)
    if "fc1.weight" in tensors or "conv.0.weight" in tensors:  # an actor saved alone
        tensors = {f"actor.{key}": tensor for key, tensor in tensors.items()}
    return _File(tensors)


def _gamma(arguments: Any) -> float | None:
    found = arguments.get("gamma") if isinstance(arguments, Mapping) else None
    return found if isinstance(found, float) and 0.0 <= found <= 1.0 else None


def _networks(
    weights: Weights, bounds: Bounds | None, task_shape: tuple[int, ...] | None
) -> Networks:
    if weights.names("lstm."):
        raise TeacherFileError(
            f"{weights.what}: not supported yet: an LSTM (ppo_atari_lstm.py); supported are "
            f"{SUPPORTED}, feed-forward"
        )
    if weights.names("atoms"):
        return read_c51(weights, task_shape)
    if weights.names("actor.fc_logits."):
        return read_discrete_sac(weights, task_shape)
    if weights.names("actor.fc"):
        return read_continuous(weights)
    if weights.names("actor.") or weights.names("actor_mean."):
        return read_agent(weights, bounds, task_shape)
    if weights.names("network."):
        return read_q(weights, task_shape)
    some = ", ".join(safe_text(name) for name in weights.names()[:4])
    raise TeacherFileError(
        f"{weights.what}: not supported yet: tensors {some}; supported of CleanRL are {SUPPORTED}"
    )


def looks_like(tensors: Mapping[str, Any]) -> bool:
    """Whether names of tensors are those of a script of CleanRL."""
    first = ("network.0.", "actor_mean.0.", "actor.0.", "fc_mean.", "fc_mu.", "atoms")
    return any(name.startswith(first) for name in tensors)
