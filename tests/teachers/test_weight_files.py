"""Files of tensors in every format; damaged and hostile ones."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from rldistill.errors import RldistillError, TeacherFileError, UnsafeFileError
from rldistill.teachers.weight_files import read_weight_file

NUMBERS = {"a.weight": torch.randn(3, 2), "b": torch.arange(4.0)}


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def torch_file(new: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(NUMBERS, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


FILES = {
    "npz": npz(**{k: v.numpy() for k, v in NUMBERS.items()}),
    "safetensors": save(NUMBERS),
    "torch": torch_file(True),
    "torch, old": torch_file(False),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_format_is_told_by_the_bytes_not_the_name(tmp_path, kind):
    path = tmp_path / "weights.bin"
    path.write_bytes(FILES[kind])
    file = read_weight_file(path)
    assert file.kind == kind.removesuffix(", old")
    assert file.tensors.keys() == NUMBERS.keys()
    assert all(torch.equal(file.tensors[k], v) for k, v in NUMBERS.items())


def test_numbers_keep_their_value_whatever_their_type(tmp_path):
    path = tmp_path / "w.npz"
    path.write_bytes(
        npz(half=np.float16([1.5]), big=np.array([2.5], ">f8"), count=np.uint16([65535]))
    )
    tensors = read_weight_file(path).tensors
    assert {k: (t.dtype, t.item()) for k, t in tensors.items()} == {
        "half": (torch.float16, 1.5),
        "big": (torch.float64, 2.5),
        "count": (torch.int64, 65535),
    }


def bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
        archive.writestr("a.npy", header + b" " * (1 << 24))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"nothing of the kind", TeacherFileError),
        (b"PK\x03\x04 cut short", TeacherFileError),
        (npz(), TeacherFileError),
        (npz(a=np.array([object()], object)), UnsafeFileError),
        (npz(a=np.array(["text"])), UnsafeFileError),
        (bomb(), UnsafeFileError),
        (struct.pack("<Q", 1 << 62) + b"{" + b" " * 100, TeacherFileError),
        (save({})[:8] + b"{" + b"[" * 10_000, TeacherFileError),
        (struct.pack("<Q", 64) + json.dumps(
            {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
        ).ljust(64).encode(), TeacherFileError),
    ],
)  # fmt: skip
def test_hostile_files_are_refused(tmp_path, data, error):
    (tmp_path / "w.npz").write_bytes(data)
    with pytest.raises(error):
        read_weight_file(tmp_path / "w.npz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_no_other_exception_whatever_the_bytes(tmp_path, data):
    content = bytearray(FILES[data.draw(st.sampled_from(sorted(FILES)))])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    (tmp_path / "w").write_bytes(bytes(content))
    try:
        file = read_weight_file(tmp_path / "w")
    except RldistillError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in file.tensors.values())
