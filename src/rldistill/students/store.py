"""Students on disk: student.safetensors (weights) and student.json (what they mean).

Both are plain data: reading them runs nothing. A student of a class of the user's own is saved by
its weights and the name of that class, and read back into such a module.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from rldistill.core import Head, NetworkPolicy, PolicyInfo, head_from_json, head_to_json
from rldistill.core.recurrent import state_shapes_of
from rldistill.errors import (
    NotFiniteError,
    RunFolderError,
    SettingError,
    ShapeError,
    TaskError,
    TeacherFileError,
)
from rldistill.runs import atomic_write, live_object, read_json, to_json
from rldistill.students.families import family_of, parse_spec, require_family
from rldistill.students.multitask_family import choose_task
from rldistill.students.weights import differences, num_numbers, serialise, widened

FORMAT = 1
WEIGHTS, CARD = "student.safetensors", "student.json"
# The header of a safetensors file, beside the numbers.
LARGEST_HEADER = 1 << 20
MOST_INPUTS = 1 << 24
MOST_AXES = 8
# Of a student whose architecture the file does not tell.
LARGEST_WEIGHTS = 1 << 32
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A name that can be shown on a terminal, whoever wrote the file.
_CLASS = re.compile(r"[\w.<>() -]{1,200}")


def save_student(
    student: NetworkPolicy, folder: Path, card: dict[str, Any], half: bool = False
) -> None:
    """Write student.safetensors and student.json into folder, each atomically.

    What a family folds is folded: an MLP's normaliser, where it is affine. The JSON names the
    sha256 of the weights, so that a pair torn apart by a crash between the two writes is seen when
    it is read.

    Args:
        student: a policy made by make_student, or of a module of the user's own.
        card: what else to record (task, teacher's fingerprint, versions, seed, command).
        half: write the weights in half precision.

    Raises:
        RunFolderError: the folder is not writable or the disk is full; the old pair is intact.
    """
    network = student.module
    family = family_of(network)
    if family is not None:
        network = family.fold(network)
        what: dict[str, Any] = {
            "architecture": str(network.spec),
            **family.details(network),
            "parameters": family.count(network),
        }
    else:
        name = re.sub(r"[^\w.<>() -]", "_", student.info.name)[:200]
        count = num_numbers(network)
        what = {"architecture": live_object(name), "own_class": name, "parameters": count}
    weights = serialise(network, student.info.name, half)
    digest = hashlib.sha256(weights).hexdigest()
    record = {
        **card,
        "format": FORMAT,
        **what,
        "observation_shape": list(student.info.observation_shape),
        "head": head_to_json(student.info.head),
        "weights_sha256": digest,
    }
    # The previous pair stays readable until the new JSON is in place: weights lie under their hash.
    atomic_write(folder / _kept_name(digest), weights)
    atomic_write(folder / CARD, to_json(record, indent=2) + "\n")
    atomic_write(folder / WEIGHTS, weights)
    for old in folder.glob("student-*.safetensors"):
        old.unlink(missing_ok=True)


def load_student(
    path: Path, module: nn.Module | None = None, task: str | None = None
) -> NetworkPolicy:
    """Load a student.

    Args:
        path: a run folder, a student.safetensors or a student.json.
        module: of the user's own class: gets the weights if they fit, and goes into eval mode.
        task: of a multi-task student, the name of the task whose policy is wanted.

    Raises:
        TeacherFileError: files missing, damaged or not belonging together, or a module is needed.
        ShapeError: the weights are not those of the module.
        SettingError: a module or a task is given and not needed, a task is needed, or unknown.
        NotFiniteError: a weight is NaN or infinite.
    """
    if not path.is_dir() and path.name not in (WEIGHTS, CARD):
        raise TeacherFileError(f"{path} is neither a run folder nor a {WEIGHTS} or {CARD}")
    folder = path if path.is_dir() else path.parent
    card = _read_card(folder / CARD, task)
    network = _network_for(card, module, path)
    tensors = _read_tensors(folder, card, network)
    buffers = {name for name, _ in network.named_buffers()} if card.is_live else set[str]()
    for name, tensor in tensors.items():
        # A buffer of a module of others may be infinite on purpose, as masks are.
        wrong = tensor.isnan() if name in buffers else ~tensor.isfinite()
        if bool(wrong.any()):
            raise NotFiniteError(f"{folder}: weight {name} holds NaN or infinity")
    if module is None:
        network.to_empty(device="cpu")
    try:
        network.load_state_dict(tensors)
    except ShapeError as error:
        raise TeacherFileError(f"{folder}: {WEIGHTS} is damaged: {error}") from error
    count = num_numbers(network) if card.is_live else require_family(network).count(network)
    info = PolicyInfo(
        name=card.name,
        framework="rldistill",
        observation_shape=card.observation_shape,
        head=card.head,
        acting_parameters=count,
        parameters=count,
        gamma=card.gamma,
        fingerprint=card.sha256,
        source=str(path),
        state_shapes=state_shapes_of(network),
    )
    return NetworkPolicy(network.eval(), info)


def _network_for(card: "_Card", module: nn.Module | None, path: Path) -> nn.Module:
    """What the weights go into.

    Raises:
        TeacherFileError: the card does not tell the architecture, and no module is given.
        SettingError: it does, and one is.
    """
    if card.network is None and module is None:
        raise TeacherFileError(
            f"{path}: its student is a {card.name}, a live object of the Python program that made "
            "it; only its weights are here, and files and the command line cannot make a network "
            f"of them. In Python: load_policy({str(path)!r}, module=...) with such a {card.name}"
        )
    if card.network is not None and module is not None:
        raise SettingError(
            f"module has no effect: {path} holds a {card.name}, which is made without one"
        )
    return card.network or module or nn.Identity()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """What student.json says of the network, every field checked.

    network is that of the spec, without any memory for its weights, however large the card says it
    is; None where the student is of a class of others.
    """

    name: str
    network: nn.Module | None
    observation_shape: tuple[int, ...]
    head: Head
    sha256: str
    gamma: float | None  # of Q-values in raw reward

    @property
    def is_live(self) -> bool:
        return self.network is None


def _read_card(path: Path, task: str | None) -> _Card:
    if not path.is_file():
        raise TeacherFileError(f"{path.parent} holds no {path.name}: is it a run folder?")
    try:
        record = read_json(path)
    except RunFolderError as error:
        raise TeacherFileError(str(error)) from error
    if type(record.get("format")) is not int or record["format"] != FORMAT:
        raise TeacherFileError(
            f"{path}: expected a student of format {FORMAT}, got {record.get('format')!r:.40}"
        )
    try:
        record = choose_task(record, task)
    except SettingError as error:
        raise SettingError(f"{path.parent}: {error}") from error
    try:
        return _card(record)
    except (SettingError, TaskError) as error:
        raise TeacherFileError(f"{path} is damaged: {error}") from error


def _card(record: dict[str, Any]) -> _Card:
    match record:
        case {
            "observation_shape": [*shape],
            "head": head,
            "weights_sha256": str(sha256),
        } if _is_shape(shape) and _SHA256.fullmatch(sha256):
            name, network = _network_of(record, tuple(shape), head_from_json(head))
            return _Card(
                name=name,
                network=network,
                observation_shape=tuple(shape),
                head=head_from_json(head),
                sha256=sha256,
                gamma=_gamma(record.get("gamma")),
            )
        case _:
            raise SettingError(
                "observation_shape, head or weights_sha256 is missing or is not what it should be"
            )


def _network_of(
    record: dict[str, Any], shape: tuple[int, ...], head: Head
) -> tuple[str, nn.Module | None]:
    """The student's name, and the network of its spec; None for a class of others."""
    match record:
        case {"own_class": str(name)} if _CLASS.fullmatch(name):
            return name, None
        case {"architecture": str(text)} if "own_class" not in record:
            spec = parse_spec(text)
            return str(spec), require_family(spec).empty(spec, shape, head, record)
        case _:
            raise SettingError("architecture (or own_class) is missing or is not what it should be")


def _gamma(value: object) -> float | None:
    if value is None or (type(value) in (int, float) and 0 <= cast("float", value) <= 1):
        return cast("float | None", value)
    raise SettingError(f"gamma must lie in [0, 1], got {value!r:.40}")


def _is_shape(sizes: list[Any]) -> bool:
    return (
        0 < len(sizes) <= MOST_AXES
        and all(type(n) is int and 1 <= n <= MOST_INPUTS for n in sizes)
        and math.prod(sizes) <= MOST_INPUTS
    )


def _read_tensors(folder: Path, card: _Card, module: nn.Module) -> dict[str, Tensor]:
    """The weights that the card names, checked to be those of the module."""
    expected: dict[str, Tensor] = module.state_dict()
    # A module of others says nothing of the size of a file that is not for it: read, then compare.
    sizes = sum(tensor.numel() * tensor.element_size() for tensor in expected.values())
    most = LARGEST_WEIGHTS if card.is_live else LARGEST_HEADER + sizes
    weights = _read_weights(folder, card.sha256, most)
    try:
        tensors = widened(load_tensors(weights), expected)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise TeacherFileError(f"{folder}: {WEIGHTS} is damaged: {error}") from error
    different = differences(tensors, expected)
    if different and card.is_live:
        raise ShapeError(
            f"{folder}: the weights saved there, of a {card.name}, do not fit the module given, "
            f"a {type(module).__name__}: {different}"
        )
    if different:
        raise TeacherFileError(
            f"{folder}: the weights are not those of a {card.name} that sees observations "
            f"{list(card.observation_shape)} and gives {card.head.num_outputs} outputs, as {CARD} "
            "says"
        )
    return tensors


def _read_weights(folder: Path, sha256: str, most: int) -> bytes:
    """The weights with this hash: under their name, or under their hash after a crash."""
    for path in (folder / WEIGHTS, folder / _kept_name(sha256)):
        try:
            if not path.is_file() or path.stat().st_size > most:
                continue
            weights = path.read_bytes()
        except OSError as error:
            raise TeacherFileError(f"cannot read {path}: {error.strerror or error}") from error
        if hashlib.sha256(weights).hexdigest() == sha256:
            return weights
    raise TeacherFileError(
        f"{folder}: no weights with the sha256 that {CARD} names; the files do not belong "
        "together or are damaged"
    )


def _kept_name(sha256: str) -> str:
    return f"student-{sha256[:12]}.safetensors"
