"""load_teacher: whatever holds a trained policy, made into one."""

import dataclasses
import hashlib
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
from rldistill.teachers.ensemble import make_ensemble
from rldistill.teachers.files import Given, is_student, load_file, load_student_file
from rldistill.teachers.hub import fetch
from rldistill.teachers.live import from_function, from_module, from_sb3_model, is_sb3_model
from rldistill.teachers.sb3_student import write_into_model
from rldistill.teachers.uris import HubFile, Members, PyName, import_object, parse_uri
from rldistill.teachers.weight_files import SUFFIXES


def load_teacher(
    source: object,
    *,
    vecnormalize: Path | str | None = None,
    card: Path | str | None = None,
    observation_shape: tuple[int, ...] | None = None,
    action_space: spaces.Space[Any] | None = None,
    head: Head | str | None = None,
    trust: bool = False,
    announce: Callable[[str], None] | None = say,
) -> NetworkPolicy:
    """Load a policy from a file of others (nothing in it is run), a student or a live object.

    Args:
        source: path of any file of docs/teachers.md, or one of its URIs: py:MODULE:NAME,
            ensemble:A,B, hf://ORG/NAME; a file of weights with a
            card, a run folder or its student.safetensors, a live stable-baselines3 model, an
            nn.Module from observations [B, ...] to raw outputs, a function from numpy observations
            to outputs or actions, or a NetworkPolicy.
        vecnormalize: VecNormalize statistics (vecnormalize.pkl, or an npz with mean and var) of a
            zip; None looks for them beside it.
        card: what network a file of weights is of (docs/cards.md); None looks for NAME.toml beside.
        observation_shape: of the task, checked against the teacher.
        action_space: of the task, checked too; gives the bounds that a file may lack.
        head: what the outputs of a live module, a function or an ONNX file mean, or the name of it:
            categorical, q-values, gaussian, squashed-gaussian or deterministic.
        trust: run the code in a file of TorchScript or torch.export, whose author you trust.
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
    given = Given(
        vecnormalize=None if vecnormalize is None else Path(vecnormalize),
        card=None if card is None else Path(card),
        observation_shape=observation_shape,
        action_space=action_space,
        head=head,
        trust=trust or None,
    )
    _require_effect(source, given)
    policy = _load(source, given)
    require_fit(policy, observation_shape, action_space)
    _require_finite(policy)
    if announce is not None:
        for line in policy.info.notes:
            announce(line)
    return policy


def _load(source: object, given: Given) -> NetworkPolicy:
    shape, action_space = given.observation_shape, given.action_space
    match parse_uri(source):
        case PyName() as name:
            return _load_own_code(name, given)
        case HubFile() as wanted:
            policy = load_file(fetch(wanted), given)
            return dataclasses.replace(
                policy, info=dataclasses.replace(policy.info, source=str(source))
            )
        case Members() as members:
            return _load_members(members, given)
        case None:
            pass
    if isinstance(source, (str, Path)):
        return load_file(Path(source), given)
    if isinstance(source, NetworkPolicy):
        return source
    if is_sb3_model(source):
        return from_sb3_model(source)
    if isinstance(source, nn.Module):
        return from_module(source, given.head, shape, action_space)
    if callable(source):
        return from_function(source, given.head, shape, action_space)
    raise SettingError(
        "a teacher must be a path, a stable-baselines3 model, an nn.Module, a function or a "
        f"NetworkPolicy; got {type(source).__name__}"
    )


def _load_own_code(name: PyName, given: Given) -> NetworkPolicy:
    """The user's own object; the source of its module is part of its fingerprint."""
    found, digest = import_object(name)
    if isinstance(found, (str, Path)):
        raise SettingError(f"py:{name.module}:{name.attribute} is a {type(found).__name__}")
    _require_effect(found, given)
    policy = _load(found, given)
    info = policy.info
    both = hashlib.sha256(f"{digest} {name.attribute} {info.fingerprint}".encode()).hexdigest()
    source = f"py:{name.module}:{name.attribute}"
    return dataclasses.replace(
        policy, info=dataclasses.replace(info, fingerprint=both, source=source)
    )


def _load_members(members: Members, given: Given) -> NetworkPolicy:
    for name in ("vecnormalize", "card", "head", "trust"):
        if getattr(given, name) is not None:
            raise SettingError(f"{name} has no effect on an ensemble: each member has its own")
    loaded = tuple(_load(source, given) for source in members.sources)
    for member in loaded:
        require_fit(member, given.observation_shape, given.action_space)
    return make_ensemble(loaded, is_confident=members.is_confident)


def _require_effect(source: object, given: Given) -> None:
    """A setting that this source has no use for is an error."""
    if isinstance(source, (str, Path)):
        return  # load_file knows what kind of file it is
    if given.trust is not None:
        raise SettingError("trust is about code in a file; this is a live object, trusted already")
    if given.card is not None:
        raise SettingError(
            f"card belongs to a file of weights ({', '.join(SUFFIXES)}); this source says itself "
            "what it is"
        )
    if given.vecnormalize is not None:
        raise SettingError(
            "vecnormalize belongs to a zip of stable-baselines3; here it has no effect"
        )
    if given.head is not None and (isinstance(source, NetworkPolicy) or is_sb3_model(source)):
        raise SettingError("head belongs to a live module or function; this source has its own")


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
        zeros = torch.zeros((1, *info.observation_shape), device=device)
        outputs, _ = policy.step(zeros, policy.initial_state(1))
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
    if task is not None and (not isinstance(source, (str, Path)) or not is_student(Path(source))):
        raise SettingError("task belongs to the run folder of a multi-task student")
    if task is not None and isinstance(source, (str, Path)):
        if module is not None or vecnormalize is not None:
            raise SettingError("module and vecnormalize have no effect on a multi-task student")
        return load_student_file(Path(source), task)
    if module is None:
        return load_teacher(source, vecnormalize=vecnormalize, announce=None)
    if not isinstance(source, (str, Path)) or not is_student(Path(source)):
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
