"""Files of torch.save: equal to torch's own reader on honest ones, an error on the others."""

import collections
import io
import os
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers.tensors import read_tensors

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.uint8,
    torch.bool,
]


def packed(value: object, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def tampered(data: bytes, old: bytes, new: bytes) -> bytes:
    """A zip of torch.save with a changed pickle and right checksums."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                assert old in content
                content = content.replace(old, new)
            target.writestr(name, content)
    return stream.getvalue()


@FORMATS
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back(zipped, dtype):
    tensors = {"a": torch.arange(6).to(dtype).reshape(2, 3), "b": torch.ones(1, dtype=dtype)}
    found = read_tensors(packed(tensors, zipped), "x")
    assert list(found) == ["a", "b"]
    for name, tensor in tensors.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor)


@FORMATS
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_views_come_back_as_torch_reads_them(zipped, seed, rows, columns):
    """Transposes, slices and shared storages: strides and offsets are honoured."""
    base = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    tensors = {"base": base, "transposed": base.T, "row": base[rows // 2], "column": base[:, -1]}
    data = packed(tensors, zipped)
    oracle = torch.load(io.BytesIO(data), weights_only=True)
    found = read_tensors(data, "x")
    assert all(torch.equal(found[name], oracle[name]) for name in tensors)


@FORMATS
def test_a_state_dict_with_metadata_and_parameters_comes_back(zipped):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.PReLU())
    values = collections.OrderedDict(module.state_dict()) | {"p": torch.nn.Parameter(torch.ones(2))}
    for value in (module.state_dict(), values):
        found = read_tensors(packed(value, zipped), "x")
        assert all(torch.equal(found[name], tensor) for name, tensor in value.items())
        assert not any(tensor.requires_grad for tensor in found.values())


@pytest.mark.parametrize("name", ["policy.pth", "pytorch_variables.pth", "tensors.pth"])
def test_every_shared_file_is_read_as_torch_reads_it(name, shared_teachers):
    count = 0
    for path in sorted(shared_teachers.glob("sb3/*/model.zip")):
        with zipfile.ZipFile(path) as archive:
            if name not in archive.namelist():
                continue
            data = archive.read(name)
        oracle = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        found = read_tensors(data, str(path))
        assert list(found) == list(oracle)
        assert all(torch.equal(found[key], oracle[key]) for key in oracle)
        count += 1
    assert count


def test_a_storage_that_claims_more_than_it_has_is_refused():
    """The count in the pickle is not that of the record: a trusting reader reads foreign memory."""
    data = packed({"a": torch.arange(7.0)})
    with pytest.raises(UnsafeFileError, match="claims 800 bytes and has 28"):
        read_tensors(tampered(data, b"K\x07", b"K\xc8"), "x")


def test_a_view_outside_its_storage_is_refused():
    data = tampered(packed({"a": torch.arange(7.0)}), b"K\x07\x85", b"K\xc8\x85")
    with pytest.raises(UnsafeFileError, match=r"shape \(200,\) leaves its storage of 7"):
        read_tensors(data, "x")


def test_a_tensor_blown_up_by_a_stride_of_zero_is_refused():
    """Four bytes that claim to be a matrix of 10^12 numbers."""
    with pytest.raises(UnsafeFileError, match="leaves its storage of 1"):
        read_tensors(packed({"a": torch.ones(1).expand(1_000_000, 1_000_000)}), "x")


def test_a_legacy_storage_longer_than_the_file_is_refused():
    data = packed({"a": torch.arange(7.0)}, zipped=False)
    with pytest.raises(TeacherFileError, match="truncated"):
        read_tensors(data[:-4], "x")
    count = (7).to_bytes(8, "little")
    assert data.count(count) == 1
    with pytest.raises(TeacherFileError, match="truncated"):
        read_tensors(data.replace(count, (1 << 40).to_bytes(8, "little")), "x")


@FORMATS
def test_a_file_cut_off_anywhere_is_an_error(zipped):
    data = packed({"a": torch.arange(7.0)}, zipped)
    for length in range(0, len(data), 7):
        with pytest.raises(TeacherFileError):
            read_tensors(data[:length], "x")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@FORMATS
def test_a_payload_never_runs(zipped, tmp_path):
    data = packed({"a": torch.ones(1), "b": Payload(tmp_path / "run")}, zipped)
    with pytest.raises(TeacherFileError, match=r"a tensor is required, got (posix|nt)\.system"):
        read_tensors(data, "x")
    assert not (tmp_path / "run").exists()


@FORMATS
@pytest.mark.parametrize("value", [[1, 2], torch.ones(2), {"a": 1.0}, {1: torch.ones(1)}, None])
def test_what_is_no_dict_of_tensors_is_an_error(zipped, value):
    with pytest.raises(TeacherFileError):
        read_tensors(packed(value, zipped), "x")


@pytest.mark.parametrize(
    "tensor",
    [torch.eye(2).to_sparse(), torch.ones(2, dtype=torch.complex64), torch.ones(2, device="meta")],
)
def test_exotic_tensors_are_refused(tensor):
    with pytest.raises(TeacherFileError):
        read_tensors(packed({"a": tensor}), "x")


def test_big_endian_files_are_refused():
    data = packed({"a": torch.ones(2)})
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"big" if name.endswith("byteorder") else source.read(name))
    with pytest.raises(TeacherFileError, match="big-endian"):
        read_tensors(stream.getvalue(), "x")
