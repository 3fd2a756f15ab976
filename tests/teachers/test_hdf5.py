"""HDF5 is read in a child, which may die; links out of the file are refused."""

import os

import numpy as np
import pytest
import torch

from rldistill.errors import MissingExtraError, TeacherFileError, UnsafeFileError
from rldistill.teachers import hdf5
from rldistill.teachers.weight_files import read_weight_file

h5py = pytest.importorskip("h5py")


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["0/W"] = np.float32([[1, 2], [3, 4]])
        file["0/b"] = np.float64([0.5])
        file.create_dataset("packed", data=np.zeros(1000, np.float32), compression="gzip")
        file["steps"] = np.int32(7)
        file["name"] = "text is no weight"
    return tmp_path / "w.h5"


def test_datasets_by_their_paths(path):
    file = read_weight_file(path)
    assert file.kind == "HDF5"
    assert set(file.tensors) == {"0/W", "0/b", "packed", "steps"}
    assert torch.equal(file.tensors["0/W"], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert file.tensors["0/b"].dtype == torch.float64
    assert file.tensors["steps"].item() == 7


def link_out(file, folder):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["x"] = np.float32([42])
    file["x"] = h5py.ExternalLink(str(folder / "secret.h5"), "x")


def soft(file, folder):
    file["x"] = h5py.SoftLink("/x")


def cycle(file, folder):
    file["a/b/c"] = np.float32([1])
    file["a/b/again"] = file["a"]


def external(file, folder):
    (folder / "raw").write_bytes(np.float32([1, 2]).tobytes())
    file.create_dataset("x", (2,), np.float32, external=[(str(folder / "raw"), 0, 8)])


def virtual(file, folder):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["x"] = np.float32([42])
    layout = h5py.VirtualLayout((1,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "x", (1,))
    file.create_virtual_dataset("v", layout)


def huge(file, folder):
    file.create_dataset("x", (1 << 40,), np.float32, chunks=(1 << 20,), compression="gzip")


@pytest.mark.parametrize("plant", [link_out, soft, cycle, external, virtual, huge])
def test_what_reaches_outside_or_has_no_end_is_refused(tmp_path, plant):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        plant(file, tmp_path)
    with pytest.raises(UnsafeFileError, match="unsafe: "):
        read_weight_file(tmp_path / "w.h5")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_told(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(TeacherFileError, match="damaged HDF5"):
        read_weight_file(path)


def test_a_reader_that_dies_or_hangs_is_told(path, tmp_path, monkeypatch):
    """As the C library may on a file that is made for it."""
    child = tmp_path / "child.py"
    monkeypatch.setattr(hdf5, "CHILD", child)
    child.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    if os.name == "posix":
        with pytest.raises(TeacherFileError, match=r"its reader died \(-11\)"):
            read_weight_file(path)
    monkeypatch.setattr(hdf5, "SECONDS", 1)
    child.write_text("while True: pass\n")
    with pytest.raises(TeacherFileError, match="could not be read in 1 s"):
        read_weight_file(path)


def test_without_the_package_the_extra_is_named(path, monkeypatch):
    monkeypatch.setattr(hdf5, "is_installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"rldistill\[hdf5\]"):
        read_weight_file(path)
