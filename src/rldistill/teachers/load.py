"""load_teacher: whatever holds a trained policy, made into one."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import nn

from rldistill.core import CategoricalHead, Head, NetworkPolicy, QValueHead
from rldistill.errors import MisfitError, NotFiniteError, SettingError
from rldistill.students.store import load_student
from rldistill.teachers.announce import say
from rldistill.teachers.layers import GreedyValue
from rldistill.teachers.live import from_function, from_module, from_sb3_model, is_sb3_model
from rldistill.teachers.module import is_weight_file, load_module
from rldistill.teachers.sb3 import read_zip
from rldistill.teachers.sb3_policy import build_policy
from rldistill.teachers.sb3_student import write_into_model
from rldistill.teachers.vecnormalize import find_statistics, load_statistics, says_normalised
from rldistill.teachers.weight_files import SUFFIXES

STUDENT_FILES = ("student.json", "student.safetensors")


def load_teacher(
    source: object,
    *,
    vecnormalize: Path | str | None = None,
    card: Path | str | None = None,
    observation_shape: tuple[int, ...] | None = None,
    action_space: spaces.Space[Any] | None = None,
    head: Head | None = None,
    announce: Callable[[str], None] | None = say,
) -> NetworkPolicy:
    """Load a policy from a file of others (nothing in it is run), a student or a live object.

    Args:
        source: path of a zip of stable-baselines3 or sb3-contrib, of a file of weights with a
            card, a run folder or its student.safetensors, a live stable-baselines3 model, an
            nn.Module from observations [B, ...] to raw outputs, a function from numpy observations
            to outputs or actions, or a NetworkPolicy.
        vecnormalize: VecNormalize statistics (vecnormalize.pkl, or an npz with mean and var) of a
            zip; None looks for them beside it.
        card: what network a file of weights is of (docs/cards.md); None looks for NAME.toml beside.
        observation_shape: of the task, checked against the teacher.
        action_space: of the task, checked too; gives the bounds that a file may lack.
        head: what the outputs of a live module or function mean.
        announce: called with one line that says what was found, then one per assumption; the same
            lines are in info.notes. Left out, they go to the logger "rldistill" at INFO, or to
            stderr where the program has set up no logging; None says nothing.

    Returns:
        The frozen policy; value() works where info.value_units is not "none".

    Raises:
        TeacherFileError: missing, damaged, or not supported yet.
        UnsafeFileError: refused, because reading on could run code or exhaust the machine.
        NotFiniteError: a weight is NaN or infinite.
        TaskError: teacher and task do not fit each other.
        SettingError: a setting is missing, or has no effect on this source.
    """
    _require_effect(source, vecnormalize, card, head)
    if card is not None or (isinstance(source, (str, Path)) and needs_card(Path(source))):
        found = None if card is None else Path(card)
        policy = load_module(Path(str(source)), found, observation_shape, action_space)
    else:
        policy = _load(source, vecnormalize, observation_shape, action_space, head)
    require_fit(policy, observation_shape, action_space)
    _require_finite(policy)
    if announce is not None:
        for line in policy.info.notes:
            announce(line)
    return policy


def _load(
    source: object,
    vecnormalize: Path | str | None,
    observation_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
    head: Head | None,
) -> NetworkPolicy:
    if isinstance(source, (str, Path)):
        path = Path(source)
        if _is_student(path):
            return _load_student(path)
        return _load_zip(path, None if vecnormalize is None else Path(vecnormalize), action_space)
    if isinstance(source, NetworkPolicy):
        return source
    if is_sb3_model(source):
        return from_sb3_model(source)
    if isinstance(source, nn.Module):
        return from_module(source, head, observation_shape, action_space)
    if callable(source):
        return from_function(source, head, observation_shape, action_space)
    raise SettingError(
        "a teacher must be a path, a stable-baselines3 model, an nn.Module, a function or a "
        f"NetworkPolicy; got {type(source).__name__}"
    )


def needs_card(path: Path) -> bool:
    """Whether a path is a file of weights without an architecture."""
    return is_weight_file(path) and not _is_student(path)


def _require_effect(
    source: object, vecnormalize: Path | str | None, card: Path | str | None, head: Head | None
) -> None:
    is_path = isinstance(source, (str, Path))
    if card is not None and (not is_path or not needs_card(Path(str(source)))):
        raise SettingError(
            f"card belongs to a file of weights ({', '.join(SUFFIXES)}); this source says itself "
            "what it is"
        )
    if vecnormalize is not None and is_path and needs_card(Path(str(source))):
        raise SettingError(
            "vecnormalize has no effect on a file of weights: its card has the normaliser"
        )
    if vecnormalize is not None and (not is_path or _is_student(Path(str(source)))):
        raise SettingError(
            "vecnormalize belongs to a zip of stable-baselines3; here it has no effect"
        )
    if head is not None and (is_path or isinstance(source, NetworkPolicy) or is_sb3_model(source)):
        raise SettingError("head belongs to a live module or function; this source has its own")


def _is_student(path: Path) -> bool:
    return path.name in STUDENT_FILES or (path / "student.json").is_file()


def _load_student(path: Path, task: str | None = None) -> NetworkPolicy:
    policy = load_student(path, task=task)
    if policy.info.gamma is not None and isinstance(policy.info.head, QValueHead):
        # Its Q-values are returns in raw reward, and so their maximum is its value.
        info = dataclasses.replace(policy.info, value_units="raw")
        policy = NetworkPolicy(policy.module, info, GreedyValue(policy.module))
    info = policy.info
    found = (
        f"{info.name} (rldistill): {math.prod(info.observation_shape)} -> {info.head.num_outputs}, "
        f"{info.acting_parameters:,} acting parameters, "
        f"value {'no' if policy.critic is None else 'yes'}"
    )
    return _with_notes(policy, (found, *info.notes))


def _load_zip(
    path: Path, vecnormalize: Path | None, action_space: spaces.Space[Any] | None
) -> NetworkPolicy:
    saved = read_zip(path)
    beside = vecnormalize or find_statistics(path)
    statistics = None if beside is None else load_statistics(beside)
    policy = build_policy(saved, statistics, action_space)
    # Off-policy algorithms always fill this key, on-policy ones only under a VecNormalize.
    trained_so = policy.info.name in ("PPO", "A2C", "TRPO") and saved.settings.values.get(
        "_last_original_obs"
    )
    said_by = says_normalised(path) or ("the file" if trained_so else None)
    if statistics is None and said_by is not None:
        hint = (
            f"{said_by} says that its observations were normalised, but no vecnormalize.pkl or "
            "obs_rms.npz lies beside it: without them (vecnormalize=PATH) it plays like random"
        )
        policy = _with_notes(policy, (*policy.info.notes, hint))
    return policy


def _with_notes(policy: NetworkPolicy, notes: tuple[str, ...]) -> NetworkPolicy:
    return NetworkPolicy(
        policy.module, dataclasses.replace(policy.info, notes=notes), policy.critic
    )


def require_fit(
    policy: NetworkPolicy,
    observation_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
) -> None:
    """Check that a policy sees and does what a task shows and takes; None is not checked.

    Raises:
        MisfitError: it does not; the message says both sides.
    """
    info = policy.info
    if observation_shape is not None and tuple(observation_shape) != info.observation_shape:
        raise MisfitError(
            info.source,
            f"takes observations of shape {info.observation_shape}",
            f"gives {tuple(observation_shape)}",
        )
    discrete = isinstance(info.head, (CategoricalHead, QValueHead))
    if isinstance(info.head, (CategoricalHead, QValueHead)):
        teacher = f"chooses among {info.head.num_actions} actions"
        own = info.head.num_actions
    else:
        own = len(info.head.low)
        teacher = f"gives {own} continuous action dimensions"
    if isinstance(action_space, spaces.Discrete):
        fits, task = (
            discrete and own == int(action_space.n),
            f"takes one of {action_space.n} actions",
        )
    elif isinstance(action_space, spaces.Box):
        count = math.prod(action_space.shape)
        fits, task = not discrete and own == count, f"takes {count} continuous action dimensions"
    else:
        fits, task = action_space is None, f"takes {action_space}"
    if not fits:
        raise MisfitError(info.source, teacher, task)


def _require_finite(policy: NetworkPolicy) -> None:
    """Finite weights can still overflow: try an observation of zeros."""
    info = policy.info
    device = next((p.device for p in policy.module.parameters()), torch.device("cpu"))
    with torch.no_grad():
        outputs = policy.module(torch.zeros((1, *info.observation_shape), device=device))
    if not bool(outputs.isfinite().all()):
        raise NotFiniteError(
            f"{info.source}: its outputs are NaN or infinite on an observation of zeros"
        )


def load_policy(
    source: object,
    *,
    vecnormalize: Path | str | None = None,
    module: object = None,
    task: str | None = None,
) -> NetworkPolicy:
    """Load a policy to act with: `load_policy(run).predict(observation)`, as load_teacher reads it.

    Args:
        source: a run folder, a file, or a live object.
        vecnormalize: statistics of a zip of stable-baselines3; None looks beside it.
        module: for a run whose student was a live object: an nn.Module of its class or a
            stable-baselines3 model of its architecture. It gets the saved weights (a module goes
            into evaluation mode too) and is untouched where they do not fit.
        task: for a run whose student has learnt several tasks: the name of one.

    Raises:
        TeacherFileError, UnsafeFileError, NotFiniteError, SettingError: as load_teacher; a
            TeacherFileError too where a module is needed, a SettingError where it has no effect.
        ShapeError: the weights saved are not those of the module.
    """
    if task is not None and (not isinstance(source, (str, Path)) or not _is_student(Path(source))):
        raise SettingError("task belongs to the run folder of a multi-task student")
    if task is not None and isinstance(source, (str, Path)):
        if module is not None or vecnormalize is not None:
            raise SettingError("module and vecnormalize have no effect on a multi-task student")
        return _load_student(Path(source), task)
    if module is None:
        return load_teacher(source, vecnormalize=vecnormalize, announce=None)
    if not isinstance(source, (str, Path)) or not _is_student(Path(source)):
        raise SettingError(
            "module belongs to the run folder of a live student; this source needs none"
        )
    if vecnormalize is not None:
        raise SettingError("vecnormalize has no effect on a run folder")
    if is_sb3_model(module):
        policy = load_student(Path(source), from_sb3_model(module).module)
        write_into_model(policy.module, module)
        return policy
    if not isinstance(module, nn.Module):
        raise SettingError(
            f"module must be an nn.Module or a stable-baselines3 model; got {type(module).__name__}"
        )
    return load_student(Path(source), module)
