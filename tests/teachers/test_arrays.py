import io
import pickle as python_pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers import arrays, pickle

numeric = st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u4", ">f8", "<i2", "b1"])
any_array = numeric.flatmap(lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=0, max_dims=3)))


@given(any_array, st.sampled_from([2, 3, 4, 5]), st.sampled_from("CF"))
def test_an_array_comes_back_from_every_protocol(array, protocol, order):
    ordered = np.asarray(array, order=order)
    found = arrays.decode(pickle.read(python_pickle.dumps(ordered, protocol), "x"), "x")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("number", [np.float32(1.5), np.float64(-2), np.int64(7), 3, 2.5, True])
def test_a_scalar_comes_back(number):
    found = arrays.decode(pickle.read(python_pickle.dumps(number), "x"), "x")
    assert found.shape == ()
    assert found == number


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, None]),
        np.array(["text"]),
        np.zeros(2, "f4,i4"),
        np.array([1j]),
        np.zeros(1, "M8[s]"),
    ],
    ids=["object", "text", "record", "complex", "date"],
)
def test_what_is_not_numbers_is_refused(array):
    """Object arrays are lists of further pickles; none of these belongs in a policy file."""
    with pytest.raises(UnsafeFileError, match="instead of numbers"):
        arrays.decode(pickle.read(python_pickle.dumps(array), "x"), "x")


def test_a_shape_that_does_not_fit_the_bytes_is_refused():
    data = python_pickle.dumps(np.zeros(3, np.float64), 3)
    assert data.count(b"K\x03\x85") == 1
    with pytest.raises(TeacherFileError, match=r"shape \(200,\) does not fit its 24 bytes"):
        arrays.decode(pickle.read(data.replace(b"K\x03\x85", b"K\xc8\x85"), "x"), "x")


@pytest.mark.parametrize("value", ["text", None, [1], {"a": 1}, print])
def test_what_is_no_array_is_called_so(value):
    with pytest.raises(TeacherFileError, match="a numeric array is required"):
        arrays.decode(pickle.read(python_pickle.dumps(value), "x"), "x")


def npy(array: np.ndarray, **settings) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **settings)
    return stream.getvalue()


@given(any_array.filter(lambda a: a.dtype != bool), st.sampled_from("CF"))
def test_an_npy_file_comes_back(array, order):
    found = arrays.read_npy(npy(np.asarray(array, order=order)), "x")
    np.testing.assert_array_equal(found, array)


def test_an_npy_of_objects_is_refused():
    with pytest.raises(UnsafeFileError, match="object"):
        arrays.read_npy(npy(np.array([{}]), allow_pickle=True), "x")


def test_an_npy_that_claims_terabytes_takes_no_memory():
    data = npy(np.zeros(1)).replace(b"(1,)", b"(9999999999999,)")
    with pytest.raises(TeacherFileError):
        arrays.read_npy(data, "x")


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"\x93NUMPY\x09\x00", npy(np.zeros(2))[:-1]])
def test_a_damaged_npy_is_an_error_of_ours(data):
    with pytest.raises(TeacherFileError):
        arrays.read_npy(data, "x")
