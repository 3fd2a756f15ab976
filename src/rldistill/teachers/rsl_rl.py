"""Checkpoints of rsl_rl (`model_*.pt`): an actor and a critic of rows of numbers, normalisers.

Read are the files of legged_gym's versions (1.x), of Isaac Lab's (2.x, 3.x: one state dict) and of
those with models apart (4.x, 5.x); of a distillation, the student.
Source: rsl_rl's ActorCritic, MLPModel and EmpiricalNormalization.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import DeterministicHead, GaussianHead, NetworkPolicy
from rldistill.errors import TeacherFileError
from rldistill.teachers.archive import read_file, safe_text
from rldistill.teachers.assemble import Origin, assemble
from rldistill.teachers.card_modules import Standardise
from rldistill.teachers.layers import ConstantStd, Squeeze
from rldistill.teachers.networks import Bounds, Networks, fit_bounds, unbounded
from rldistill.teachers.rsl_rl_settings import RunSettings, read_run_settings
from rldistill.teachers.settings import Settings
from rldistill.teachers.spaces import record_of_space
from rldistill.teachers.tensors import read_saved
from rldistill.teachers.weights import Weights, widths

EPSILON = 1e-2  # EmpiricalNormalization's
LEAST_STD = 1e-6
APART = ("student_state_dict", "actor_state_dict")
LOG_STDS = ("log_std", "distribution.log_std_param")
STDS = ("std", "distribution.std_param")
_RECURRENT = re.compile(r"(?:.*\.)?(?:memory\w*|rnn)\.(?:.*\.)?weight_(ih|hh)_l0")
_CONVOLUTIONS = re.compile(r"(?:.*\.)?(?:\w*cnns?|\w*conv\w*)\.")


def looks_like(content: Mapping[str, Any]) -> bool:
    """Whether the content of a torch file is a checkpoint of rsl_rl."""
    names: set[Any] = set(content)
    whole = "model_state_dict" in names and {"iter", "infos", "optimizer_state_dict"} & names
    apart = bool({*APART} & names) and {"iter", "infos", "optimizer_state_dict"} & names
    return bool(whole or apart)


def load_rsl_rl(path: Path, action_space: spaces.Space[Any] | None) -> NetworkPolicy:
    """The actor of a checkpoint, with the normaliser that it was trained with.

    The file tells neither its activation nor its groups of observations: they are read from
    params/agent.yaml, where that lies beside it, else the activation is elu.

    Args:
        path: of torch.save.
        action_space: of the task, for bounds; rsl_rl knows none.

    Raises:
        TeacherFileError: damaged, recurrent, or of networks that are not read yet.
        UnsafeFileError: beyond the bounds.
        NotFiniteError: a weight is NaN or infinite.
    """
    data, what = read_file(path), str(path)
    parts = _read(data, what)
    told = read_run_settings(path)
    record = record_of_space(action_space)
    known = record.low is not None and record.high is not None
    bounds = Bounds(record.low or (), record.high or (), of_task=True) if known else None
    networks = _networks(parts, told, bounds)
    digest = hashlib.sha256(data)
    digest.update(told.digest.encode())
    origin = Origin(
        framework="rsl_rl",
        source=what,
        fingerprint=digest.hexdigest(),
        gamma=told.gamma,
        notes=told.notes,
    )
    return assemble(networks, origin)


@final
@dataclass(frozen=True, slots=True)
class _Parts:
    """Actor and critic in one naming: mlp.N, obs_normalizer.NAME, std or log_std."""

    actor: Weights
    critic: Weights | None
    is_student: bool


def _read(data: bytes, what: str) -> _Parts:
    saved = read_saved(data, what)
    content: Any = saved.content
    if not isinstance(content, Mapping) or not looks_like(content):
        raise TeacherFileError(
            f"{what} is no checkpoint of rsl_rl, which has model_state_dict or actor_state_dict"
        )
    found: Mapping[str, Any] = content
    apart = next((name for name in APART if name in found), None)
    if apart is not None:
        actor = saved.tensors(found[apart])
        critic = saved.tensors(found.get("critic_state_dict") or {})
        is_student = apart == "student_state_dict"
    else:
        whole = saved.tensors(found["model_state_dict"])
        _refuse_others(whole, what)
        is_student = any(name.startswith("student.") for name in whole)
        actor, critic = _split(whole, "student" if is_student else "actor")
        for key, own in (("obs_norm_state_dict", actor), ("critic_obs_norm_state_dict", critic),
                         ("privileged_obs_norm_state_dict", critic)):  # fmt: skip
            if found.get(key) is not None and not (is_student and own is critic):
                tensors = saved.tensors(found[key])
                own |= {f"obs_normalizer.{name}": tensor for name, tensor in tensors.items()}
    _refuse_others(actor, what)
    useful = _without_counts(critic)
    return _Parts(
        Weights(_without_counts(actor), what),
        Weights(useful, what) if useful and not is_student else None,
        is_student,
    )


def _split(whole: Mapping[str, Tensor], actor: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One state dict as that of the actor and that of the critic."""
    names = {f"{actor}.": "mlp.", f"{actor}_obs_normalizer.": "obs_normalizer."}
    others = {"critic.": "mlp.", "critic_obs_normalizer.": "obs_normalizer."}
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    for name, tensor in whole.items():
        for table, out in ((names, first), (others, second)):
            for prefix, instead in table.items():
                if name.startswith(prefix):
                    out[instead + name.removeprefix(prefix)] = tensor
        if name.startswith("teacher"):
            continue
        if not name.startswith((*names, *others)):
            first[name] = tensor
    return first, second


def _without_counts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How often a normaliser was updated, and its variance beside its deviation, play no part."""
    ends = ("obs_normalizer.count", "obs_normalizer._var")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(ends)}


def _refuse_others(tensors: Mapping[str, Tensor], what: str) -> None:
    for name, tensor in tensors.items():
        kind = ""
        if _RECURRENT.fullmatch(name):
            hidden = next((t.shape[1] for n, t in tensors.items() if n.endswith("weight_hh_l0")), 1)
            kind = "a GRU" if tensor.shape[0] == 3 * hidden else "an LSTM"
        elif _CONVOLUTIONS.match(name):
            kind = "convolutions"
        if kind:
            raise TeacherFileError(
                f"{what}: not supported yet: {kind} ({safe_text(name)}); supported of rsl_rl are "
                "MLP actors and critics"
            )


def _networks(parts: _Parts, told: RunSettings, bounds: Bounds | None) -> Networks:
    actor = parts.actor
    layers = actor.network("mlp", told.activation)
    sizes = widths(layers)
    first = _normaliser(actor, sizes[0])
    outputs, head = _outputs(actor, layers, bounds)
    actor.finish()
    critic, notes = _critic(parts, told, sizes[0])
    if parts.is_student:
        notes = ("a distillation of rsl_rl: its student is the policy", *notes)
    name = told.activation.__name__.lower()
    return Networks(
        algorithm="Distillation" if parts.is_student else "PPO",
        actor=[*first, *outputs],
        head=head,
        critic=critic,
        sizes=sizes,
        activation=(name if told.names_activation else f"{name} (default)")
        + (", normaliser" if first else ""),
        notes=notes,
    )


def _normaliser(weights: Weights, inputs: int) -> list[nn.Module]:
    """(x - mean) / (std + 0.01), as EmpiricalNormalization; [] if there is none."""
    if not weights.names("obs_normalizer."):
        return []
    mean, std = (weights.take(f"obs_normalizer.{n}").flatten() for n in ("_mean", "_std"))
    if mean.numel() != inputs or std.numel() != inputs or bool((std < 0.0).any()):
        raise TeacherFileError(
            f"{weights.what}: a normaliser of {mean.numel()} and {std.numel()} numbers (deviations "
            f">= 0) before a network of {inputs}"
        )
    return [Standardise(mean, std + EPSILON, None)]


def _outputs(
    weights: Weights, layers: list[nn.Module], bounds: Bounds | None
) -> tuple[list[nn.Module], GaussianHead | DeterministicHead]:
    size = widths(layers)[-1]
    logs = [name for name in LOG_STDS if weights.names(name)]
    plain = [name for name in STDS if weights.shape(name)]
    if not logs and not plain:
        if bounds is None or len(bounds.low) != size:
            raise TeacherFileError(
                f"{weights.what}: {size} outputs without std or log_std: a deterministic policy of "
                f"{size} actions, or one of {size // 2} whose deviation depends on the state "
                "(not supported yet); name a task with as many actions as a deterministic one has"
            )
        return layers, DeterministicHead(bounds.low, bounds.high)
    name = (logs or plain)[0]
    stored = weights.take(name).flatten()
    log_std = stored if logs else stored.clamp(min=LEAST_STD).log()
    if log_std.numel() != size:
        raise TeacherFileError(
            f"{weights.what}: {name} has {log_std.numel()} numbers, the actor {size}"
        )
    found = fit_bounds(bounds, size, Settings(what=weights.what)) or unbounded(size)
    return [ConstantStd(nn.Sequential(*layers), log_std)], GaussianHead(found.low, found.high)


def _critic(
    parts: _Parts, told: RunSettings, inputs: int
) -> tuple[nn.Module | None, tuple[str, ...]]:
    weights = parts.critic
    if weights is None:
        return None, ()
    layers = weights.network("mlp", told.activation)
    sizes = widths(layers)
    first = _normaliser(weights, sizes[0])
    weights.finish()
    if sizes[-1] != 1:
        raise TeacherFileError(f"{weights.what}: a critic gives one number, this one {sizes[-1]}")
    if sizes[0] != inputs or told.separate_critic:
        return None, (
            f"its critic sees other observations ({sizes[0]} numbers) than its actor: no value",
        )
    return nn.Sequential(*first, *layers, Squeeze()), ()
