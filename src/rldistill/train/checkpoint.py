"""Checkpoints: one safetensors file with everything that resuming needs, written atomically.

Reading one runs nothing: tensors and a JSON record, no pickle.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rldistill.errors import RunFolderError
from rldistill.runs import atomic_write, storage_advice, to_json

FILE = "checkpoint.safetensors"
# Larger memories are not saved: they are collected again when the run is resumed.
LARGEST_MEMORY = 256 * 2**20


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write tensors and a JSON record into folder as one file.

    Raises:
        RunFolderError: the folder is not writable or the disk is full; the old file is intact.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFolderError(storage_advice(error, folder)) from error
    # safetensors refuses tensors that share memory, and copies also detach from the training graph.
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    atomic_write(folder / FILE, save(own, metadata={"record": to_json(dict(record))}))


def has_checkpoint(folder: Path) -> bool:
    """Whether one was ever saved here."""
    return (folder / FILE).exists()


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what save_checkpoint wrote.

    Raises:
        RunFolderError: there is none, or it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise RunFolderError(f"{folder.parent} holds no checkpoint to resume from")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        record = json.loads(metadata["record"])
    except (SafetensorError, KeyError, ValueError, RecursionError, OSError) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    if not isinstance(record, dict):
        raise RunFolderError(f"{path} is damaged: its record is not a JSON object")
    return tensors, cast("dict[str, Any]", record)


def flatten(prefix: str, state: Mapping[Any, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split a nested state dict into named tensors and a JSON-able rest with their places.

    >>> import torch
    >>> flatten("a", {"w": torch.ones(1), "n": 3})
    ({'a.w': tensor([1.])}, {'w': {'tensor': 'a.w'}, 'n': 3})
    """
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for key, value in state.items():
        name = f"{prefix}.{key}"
        if isinstance(value, Tensor):
            tensors[name] = value
            rest[str(key)] = {"tensor": name}
        elif isinstance(value, Mapping):
            inner, rest[str(key)] = flatten(name, value)
            tensors |= inner
        else:
            rest[str(key)] = value
    return tensors, rest


def unflatten(rest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[Any, Any]:
    """The inverse of flatten; keys that are numbers become int again.

    >>> import torch
    >>> unflatten({"0": {"tensor": "a"}}, {"a": torch.ones(1)})
    {0: tensor([1.])}
    """
    out: dict[Any, Any] = {}
    for key, value in rest.items():
        name: Any = int(key) if key.isdigit() else key
        # A module may call a weight of its own "tensor": then there is a dict behind it.
        if isinstance(value, dict) and set(value) == {"tensor"} and type(value["tensor"]) is str:
            out[name] = tensors[value["tensor"]]
        else:
            out[name] = unflatten(value, tensors) if isinstance(value, dict) else value
    return out
