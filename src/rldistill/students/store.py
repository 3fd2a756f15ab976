"""Students on disk: student.safetensors (weights) and student.json (what they mean).

Both are plain data: reading them runs nothing.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError, TeacherFileError
from rldistill.runs import atomic_write
from rldistill.students.mlp import Mlp, num_parameters
from rldistill.students.specs import parse_spec

FORMAT = 1
LARGEST_CARD = 1 << 20
HEADS: dict[str, type[Any]] = {
    "categorical": CategoricalHead,
    "q-values": QValueHead,
    "gaussian": GaussianHead,
    "squashed-gaussian": SquashedGaussianHead,
    "deterministic": DeterministicHead,
}


def save_student(student: NetworkPolicy, folder: Path, card: dict[str, Any]) -> None:
    """Write student.safetensors and student.json into folder, each atomically.

    The normaliser is folded into the weights where it is affine. The JSON names the sha256 of the
    weights, so that a pair torn apart by a crash between the two writes is seen when it is read.

    Args:
        student: a policy made by make_student.
        card: what else to record (task, teacher's fingerprint, versions, seed, command).
    """
    module = student.module
    assert isinstance(module, Mlp)
    folded = module.folded()
    weights = save_tensors({k: v.cpu().contiguous() for k, v in folded.state_dict().items()})
    digest = hashlib.sha256(weights).hexdigest()
    record = {
        "format": FORMAT,
        "architecture": str(folded.spec),
        "observation_shape": list(student.info.observation_shape),
        "normaliser": folded.normaliser is not None,
        "head": head_to_json(student.info.head),
        "parameters": num_parameters(folded),
        "weights_sha256": digest,
        **card,
    }
    # The previous pair stays readable until the new JSON is in place: weights lie under their hash.
    kept = folder / f"student-{digest[:12]}.safetensors"
    atomic_write(kept, weights)
    atomic_write(folder / "student.json", json.dumps(record, indent=2) + "\n")
    atomic_write(folder / "student.safetensors", weights)
    for old in folder.glob("student-*.safetensors"):
        old.unlink(missing_ok=True)


def load_student(path: Path) -> NetworkPolicy:
    """Load a student from a run folder, a student.safetensors or a student.json.

    Raises:
        TeacherFileError: files missing, damaged or not belonging together.
        NotFiniteError: a weight is NaN or infinite.
    """
    folder = path if path.is_dir() else path.parent
    record = _read_card(folder / "student.json")
    weights = _read_weights(folder, record)
    try:
        head = head_from_json(record["head"])
        shape = tuple(int(n) for n in record["observation_shape"])
        module = Mlp(parse_spec(record["architecture"]), shape[0], head)
        if not record["normaliser"]:
            module.normaliser = None
        module.load_state_dict(_tensors(folder, weights))
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise TeacherFileError(
            f"{folder}: student.json does not fit its weights: {error}"
        ) from error
    for name, tensor in module.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise NotFiniteError(f"{folder}: weight {name} holds NaN or infinity")
    count = num_parameters(module)
    info = PolicyInfo(
        name=str(record["architecture"]),
        framework="rldistill",
        observation_shape=shape,
        head=head,
        acting_parameters=count,
        parameters=count,
        fingerprint=str(record["weights_sha256"]),
        source=str(path),
    )
    return NetworkPolicy(module.eval(), info)


def head_to_json(head: Head) -> dict[str, Any]:
    """A head as plain JSON, infinities as null.

    >>> head_to_json(CategoricalHead(4))
    {'kind': 'categorical', 'num_actions': 4}
    """
    kind = next(name for name, cls in HEADS.items() if type(head) is cls)
    fields = {
        key: [x if abs(x) < float("inf") else None for x in value]
        if isinstance(value, tuple)
        else value
        for key, value in dataclasses.asdict(head).items()
    }
    return {"kind": kind, **fields}


def head_from_json(record: dict[str, Any]) -> Head:
    """The inverse of head_to_json."""
    kind = HEADS[record["kind"]]
    if "num_actions" in record:
        return kind(int(record["num_actions"]))
    infinity = float("inf")
    low = tuple(-infinity if x is None else float(x) for x in record["low"])
    high = tuple(infinity if x is None else float(x) for x in record["high"])
    return kind(low, high)


def _read_card(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise TeacherFileError(f"{path.parent} holds no student.json: is it a run folder?")
    if path.stat().st_size > LARGEST_CARD:
        raise TeacherFileError(f"{path} is larger than {LARGEST_CARD:,} bytes")
    try:
        record = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise TeacherFileError(f"{path} is not JSON: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise TeacherFileError(f"{path}: expected a student of format {FORMAT}")
    return record


def _read_weights(folder: Path, record: dict[str, Any]) -> bytes:
    digest = str(record.get("weights_sha256"))
    for name in ("student.safetensors", f"student-{digest[:12]}.safetensors"):
        path = folder / name
        if path.parent == folder and path.is_file():
            weights = path.read_bytes()
            if hashlib.sha256(weights).hexdigest() == digest:
                return weights
    raise TeacherFileError(
        f"{folder}: no weights with the sha256 that student.json names; the files do not belong "
        "together or are damaged"
    )


def _tensors(folder: Path, weights: bytes) -> dict[str, Tensor]:
    try:
        return load_tensors(weights)
    except SafetensorError as error:
        raise TeacherFileError(f"{folder}: student.safetensors is damaged: {error}") from error
