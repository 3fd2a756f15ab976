"""Named tensors out of a file of weights of any common format; nothing in it is run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from rldistill.errors import TeacherFileError
from rldistill.teachers import hdf5
from rldistill.teachers.archive import Archive, read_file, safe_text
from rldistill.teachers.arrays import read_npy
from rldistill.teachers.script_names import is_export, is_script
from rldistill.teachers.script_tensors import export_tensors, script_tensors
from rldistill.teachers.tensors import read_saved, read_tensors

# Files that hold weights and no architecture. What is inside decides how one is read, not its name.
SUFFIXES = (".npz", ".safetensors", ".pt", ".pth", ".tar", ".ckpt", ".pt2", ".h5", ".hdf5")
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


@final
@dataclass(frozen=True, slots=True)
class WeightFile:
    """What a file holds.

    Attributes:
        tensors: by name, in the file's order.
        kind: "npz", "safetensors", "torch", "TorchScript", "torch.export" or "HDF5".
        sha256: of the file.
    """

    tensors: dict[str, Tensor]
    kind: str
    sha256: str


def read_weight_file(path: Path) -> WeightFile:
    """Read a file of tensors: npz, safetensors, torch.save (both formats) or HDF5.

    Raises:
        TeacherFileError: missing, damaged, or of another format.
        UnsafeFileError: it exceeds the bounds, or claims more than it holds.
        MissingExtraError: HDF5 without h5py.
    """
    data = read_file(path)
    sha256, what = hashlib.sha256(data).hexdigest(), str(path)
    if data.startswith(HDF5_MAGIC):
        return WeightFile(hdf5.read(path, data), "HDF5", sha256)
    if data.startswith(b"PK") and _is_npz(data, what):
        return WeightFile(_read_npz(data, what), "npz", sha256)
    names = Archive(data, what).names if data.startswith(b"PK") else ()
    if is_script(names):
        return WeightFile(script_tensors(read_saved(data, what)), "TorchScript", sha256)
    if is_export(names):
        return WeightFile(export_tensors(Archive(data, what), what), "torch.export", sha256)
    if data[8:9] == b"{":
        return WeightFile(_read_safetensors(data, what), "safetensors", sha256)
    return WeightFile(read_tensors(data, what), "torch", sha256)


def _is_npz(data: bytes, what: str) -> bool:
    names = Archive(data, what).names
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(data: bytes, what: str) -> dict[str, Tensor]:
    archive = Archive(data, what)
    return {
        name.removesuffix(".npy"): tensor_of(
            read_npy(archive.read(name), f"{what}: {safe_text(name)}")
        )
        for name in archive.names
    }


def tensor_of(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    """A numeric array as a tensor: floats keep their width, whole numbers become int64."""
    if array.dtype.kind != "f":
        return torch.from_numpy(array.astype(np.int64))
    narrow = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return torch.from_numpy(array.astype(narrow))


def _read_safetensors(data: bytes, what: str) -> dict[str, Tensor]:
    try:
        return load_safetensors(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = safe_text(str(error), 200)
        raise TeacherFileError(f"{what} is a damaged safetensors file: {reason}") from error
