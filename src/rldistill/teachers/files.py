"""Files of policies: what kind a file is of, and the reader of each kind."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, final

from gymnasium import spaces

from rldistill.core import Head, NetworkPolicy, QValueHead
from rldistill.errors import SettingError
from rldistill.students.store import load_student
from rldistill.teachers import cleanrl, rsl_rl
from rldistill.teachers.archive import Archive, read_file
from rldistill.teachers.card import find_card
from rldistill.teachers.layers import GreedyValue
from rldistill.teachers.module import is_weight_file, load_module
from rldistill.teachers.onnx_teacher import load_onnx
from rldistill.teachers.sb3 import read_zip
from rldistill.teachers.sb3_policy import build_policy
from rldistill.teachers.script_names import is_export, is_script
from rldistill.teachers.scripts import load_trusted, refuse_code
from rldistill.teachers.tensors import read_saved
from rldistill.teachers.vecnormalize import find_statistics, load_statistics, says_normalised
from rldistill.teachers.weight_files import SUFFIXES

STUDENT_FILES = ("student.json", "student.safetensors")
TORCH_SUFFIXES = (".pt", ".pth", ".tar", ".ckpt", ".pt2")


@final
class Kind(Enum):
    """What a file is, in words for messages."""

    STUDENT = "a student of ours"
    ZIP = "a zip of stable-baselines3"
    WEIGHTS = "a file of weights"
    CLEANRL = "a file of CleanRL"
    RSL_RL = "a checkpoint of rsl_rl"
    ONNX = "an ONNX file"
    SCRIPT = "a TorchScript file"
    EXPORT = "a torch.export file"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the caller of load_teacher said besides the source; None: nothing."""

    vecnormalize: Path | None = None
    card: Path | None = None
    observation_shape: tuple[int, ...] | None = None
    action_space: spaces.Space[Any] | None = None
    head: Head | str | None = None
    trust: bool | None = None


# Which kinds a setting has an effect on.
EFFECTS = {
    "card": (Kind.WEIGHTS,),
    "vecnormalize": (Kind.ZIP, Kind.CLEANRL),
    "head": (Kind.ONNX, Kind.SCRIPT, Kind.EXPORT),
    "trust": (Kind.SCRIPT, Kind.EXPORT),
}
BELONGS = {
    "card": f"card belongs to a file of weights ({', '.join(SUFFIXES)})",
    "vecnormalize": "vecnormalize belongs to a zip of stable-baselines3 or a file of CleanRL",
    "head": "head belongs to a live module or function, an ONNX file or a program",
    "trust": "trust is about code in a file of TorchScript or torch.export",
}
INSTEAD = {
    Kind.WEIGHTS: "its card has the normaliser and the head",
    Kind.RSL_RL: "it has its own",
    Kind.ONNX: "its graph is all that there is",
    Kind.SCRIPT: "its code says what it is",
    Kind.EXPORT: "its code says what it is",
    Kind.ZIP: "it says itself what it is",
    Kind.CLEANRL: "it says itself what it is",
    Kind.STUDENT: "it says itself what it is",
}


def kind_of(path: Path, card: Path | None = None) -> Kind:
    """What kind of policy file lies at a path, by its name and, for torch, by what is in it.

    Raises:
        TeacherFileError, UnsafeFileError: a torch file that cannot be read.
    """
    if is_student(path):
        return Kind.STUDENT
    if path.suffix.lower() == cleanrl.SUFFIX:
        return Kind.CLEANRL
    if path.suffix.lower() == ".onnx":
        return Kind.ONNX
    if not is_weight_file(path):
        return Kind.ZIP
    is_torch = path.suffix.lower() in TORCH_SUFFIXES
    if card is not None or not is_torch or not path.is_file() or find_card(path) is not None:
        return Kind.WEIGHTS
    data = read_file(path)
    names = Archive(data, str(path)).names if data.startswith(b"PK") else ()
    if is_script(names):
        return Kind.SCRIPT
    if is_export(names):
        return Kind.EXPORT
    content = read_saved(data, str(path)).content
    if isinstance(content, Mapping) and rsl_rl.looks_like(content):
        return Kind.RSL_RL
    if isinstance(content, Mapping) and cleanrl.looks_like(content):
        return Kind.CLEANRL
    return Kind.WEIGHTS


def load_file(path: Path, given: Given) -> NetworkPolicy:
    """The policy in a file.

    Raises:
        SettingError: a setting has no effect on a file of this kind.
        TeacherFileError, UnsafeFileError, NotFiniteError, TaskError: as load_teacher.
    """
    kind = kind_of(path, given.card)
    for name, kinds in EFFECTS.items():
        if getattr(given, name) is not None and kind not in kinds:
            raise SettingError(
                f"{BELONGS[name]}; {name} has no effect on {kind.value} ({path}): {INSTEAD[kind]}"
            )
    shape, action_space = given.observation_shape, given.action_space
    match kind:
        case Kind.STUDENT:
            return load_student_file(path)
        case Kind.ZIP:
            return _load_zip(path, given)
        case Kind.WEIGHTS:
            return load_module(path, given.card, shape, action_space)
        case Kind.CLEANRL:
            return cleanrl.load_cleanrl(path, given.vecnormalize, shape, action_space)
        case Kind.RSL_RL:
            return rsl_rl.load_rsl_rl(path, action_space)
        case Kind.ONNX:
            return load_onnx(path, shape, action_space, given.head)
        case Kind.SCRIPT | Kind.EXPORT:
            if not given.trust:
                raise refuse_code(path, kind.value)
            return load_trusted(path, shape, action_space, given.head)


def is_student(path: Path) -> bool:
    """Whether a path is a run folder with a student, or a file of one."""
    return path.name in STUDENT_FILES or (path / "student.json").is_file()


def load_student_file(path: Path, task: str | None = None) -> NetworkPolicy:
    """A student of ours as a policy; a Q-network's value is its largest Q.

    Raises:
        TeacherFileError, NotFiniteError: as load_student.
    """
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


def _load_zip(path: Path, given: Given) -> NetworkPolicy:
    saved = read_zip(path)
    beside = given.vecnormalize or find_statistics(path)
    statistics = None if beside is None else load_statistics(beside)
    policy = build_policy(saved, statistics, given.action_space, given.observation_shape)
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
