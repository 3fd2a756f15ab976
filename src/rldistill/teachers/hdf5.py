"""Tensors out of HDF5 files, read in a child process: the format's C library trusts its input."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

from rldistill.errors import MissingExtraError, TeacherFileError, UnsafeFileError, pip_line
from rldistill.teachers.archive import Archive, safe_text
from rldistill.teachers.arrays import read_npy

SECONDS = 60
CHILD = Path(__file__).with_name("hdf5_child.py")


def is_installed() -> bool:
    """Whether the child will find h5py; this process does not import it."""
    return importlib.util.find_spec("h5py") is not None


def read(path: Path, data: bytes) -> dict[str, Tensor]:
    """Names ("group/dataset") and tensors of all datasets of numbers.

    Args:
        path: for messages.
        data: the whole file.

    Raises:
        MissingExtraError: h5py is not installed.
        TeacherFileError: damaged, or it crashes its reader.
        UnsafeFileError: it reaches outside itself, or is larger unpacked than any policy.
    """
    if not is_installed():
        raise MissingExtraError(f"h5py is not installed; run: {pip_line('hdf5')}")
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(CHILD)], input=data, capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise TeacherFileError(f"{path}: its HDF5 could not be read in {SECONDS} s") from error
    if done.returncode == 0:
        archive = Archive(done.stdout, str(path))
        return {
            name.removesuffix(".npy"): torch.from_numpy(read_npy(archive.read(name), str(path)))
            for name in archive.names
        }
    said = safe_text(done.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1], 200)
    kind = UnsafeFileError if said.startswith("unsafe: ") else TeacherFileError
    raise kind(f"{path} is a damaged HDF5 file: {said or f'its reader died ({done.returncode})'}")
