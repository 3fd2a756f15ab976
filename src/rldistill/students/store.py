"""Students on disk: student.safetensors (weights) and student.json (what they mean).

Both are plain data: reading them runs nothing.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from rldistill.core import Head, NetworkPolicy, PolicyInfo, head_from_json, head_to_json
from rldistill.errors import NotFiniteError, RunFolderError, SettingError, TeacherFileError
from rldistill.runs import atomic_write, read_json, to_json
from rldistill.students.mlp import Mlp, num_parameters
from rldistill.students.specs import MlpSpec, parse_spec

FORMAT = 1
WEIGHTS, CARD = "student.safetensors", "student.json"
# The header of a safetensors file, beside the numbers.
LARGEST_HEADER = 1 << 20
MOST_INPUTS = 1 << 24
_SHA256 = re.compile(r"[0-9a-f]{64}")


def save_student(student: NetworkPolicy, folder: Path, card: dict[str, Any]) -> None:
    """Write student.safetensors and student.json into folder, each atomically.

    The normaliser is folded into the weights where it is affine. The JSON names the sha256 of the
    weights, so that a pair torn apart by a crash between the two writes is seen when it is read.

    Args:
        student: a policy made by make_student.
        card: what else to record (task, teacher's fingerprint, versions, seed, command).

    Raises:
        RunFolderError: the folder is not writable or the disk is full; the old pair is intact.
    """
    module = student.module
    assert isinstance(module, Mlp)
    folded = module.folded()
    weights = save_tensors({name: x.contiguous() for name, x in folded.state_dict().items()})
    digest = hashlib.sha256(weights).hexdigest()
    record = {
        **card,
        "format": FORMAT,
        "architecture": str(folded.spec),
        "observation_shape": list(student.info.observation_shape),
        "normaliser": folded.normaliser is not None,
        "head": head_to_json(student.info.head),
        "parameters": num_parameters(folded),
        "weights_sha256": digest,
    }
    # The previous pair stays readable until the new JSON is in place: weights lie under their hash.
    atomic_write(folder / _kept_name(digest), weights)
    atomic_write(folder / CARD, to_json(record, indent=2) + "\n")
    atomic_write(folder / WEIGHTS, weights)
    for old in folder.glob("student-*.safetensors"):
        old.unlink(missing_ok=True)


def load_student(path: Path) -> NetworkPolicy:
    """Load a student from a run folder, a student.safetensors or a student.json.

    Raises:
        TeacherFileError: files missing, damaged or not belonging together.
        NotFiniteError: a weight is NaN or infinite.
    """
    if not path.is_dir() and path.name not in (WEIGHTS, CARD):
        raise TeacherFileError(f"{path} is neither a run folder nor a {WEIGHTS} or {CARD}")
    folder = path if path.is_dir() else path.parent
    card = _read_card(folder / CARD)
    module = card.empty_module()
    tensors = _read_tensors(folder, card, module)
    module.to_empty(device="cpu").load_state_dict(tensors)
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise NotFiniteError(f"{folder}: weight {name} holds NaN or infinity")
    count = num_parameters(module)
    info = PolicyInfo(
        name=str(card.spec),
        framework="rldistill",
        observation_shape=(card.num_inputs,),
        head=card.head,
        acting_parameters=count,
        parameters=count,
        fingerprint=card.sha256,
        source=str(path),
    )
    return NetworkPolicy(module.eval(), info)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """What student.json says of the network, every field checked."""

    spec: MlpSpec
    num_inputs: int
    head: Head
    normaliser: bool
    sha256: str

    def empty_module(self) -> Mlp:
        """The network without any memory for its weights, however large the card says it is."""
        with torch.device("meta"):
            module = Mlp(self.spec, self.num_inputs, self.head)
        if module.normaliser is not None and self.normaliser:
            module.normaliser.stays = True
        else:
            module.normaliser = None
        return module


def _read_card(path: Path) -> _Card:
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
        return _card(record)
    except SettingError as error:
        raise TeacherFileError(f"{path} is damaged: {error}") from error


def _card(record: dict[str, Any]) -> _Card:
    match record:
        case {
            "architecture": str(architecture),
            "observation_shape": [int(num_inputs)],
            "head": head,
            "normaliser": bool(normaliser),
            "weights_sha256": str(sha256),
        } if 1 <= num_inputs <= MOST_INPUTS and _SHA256.fullmatch(sha256):
            return _Card(
                spec=parse_spec(architecture),
                num_inputs=int(num_inputs),
                head=head_from_json(head),
                normaliser=normaliser,
                sha256=sha256,
            )
        case _:
            raise SettingError(
                "architecture, observation_shape [O], head, normaliser or weights_sha256 is "
                "missing or is not what it should be"
            )


def _read_tensors(folder: Path, card: _Card, module: Mlp) -> dict[str, Tensor]:
    """The weights that the card names, checked to be those of the module."""
    expected = module.state_dict()
    most = 4 * sum(tensor.numel() for tensor in expected.values()) + LARGEST_HEADER
    weights = _read_weights(folder, card.sha256, most)
    try:
        tensors = load_tensors(weights)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise TeacherFileError(f"{folder}: {WEIGHTS} is damaged: {error}") from error
    shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in expected.items()}
    if shapes != {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}:
        raise TeacherFileError(
            f"{folder}: the weights are not those of a {card.spec} with {card.num_inputs} inputs "
            f"and {card.head.num_outputs} outputs, as {CARD} says"
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
