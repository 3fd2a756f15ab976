"""The opcode machine: equal to Python's unpickler on plain data, powerless on everything else."""

import collections
import contextlib
import io
import os
import pickle as python_pickle
import pickletools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import RldistillError, TeacherFileError, UnsafeFileError
from rldistill.teachers import pickle
from rldistill.teachers.pickle import Inert

PROTOCOLS = range(python_pickle.HIGHEST_PROTOCOL + 1)
flat = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
plain = st.recursive(
    flat,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@given(plain, st.sampled_from([3, 4, 5]))
def test_plain_data_comes_back_equal(value, protocol):
    assert pickle.read(python_pickle.dumps(value, protocol), "x") == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_is_read(protocol):
    value = {"a": [1, -2, 10**30, 1.5, None, True], "b": ("x", "y", ("z",)), "c": {}}
    assert pickle.read(python_pickle.dumps(value, protocol), "x") == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_ordered_dict_is_read_as_a_dict(protocol):
    value = collections.OrderedDict(b=1, a=2)
    if protocol == 0:  # there its pairs are an argument of the call
        return
    found = pickle.read(python_pickle.dumps(value, protocol), "x")
    assert list(found.items()) == [("b", 1), ("a", 2)]


def test_a_shared_object_is_shared_and_a_cycle_is_kept():
    inner: list = [1]
    found = pickle.read(python_pickle.dumps([inner, inner]), "x")
    assert found[0] is found[1]
    inner.append(inner)
    cycle = pickle.read(python_pickle.dumps(inner), "x")
    assert cycle[1] is cycle


class Payload:
    """Pickled as a call of os.system."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_payload_is_kept_as_data_and_never_runs(protocol, tmp_path):
    data = python_pickle.dumps(Payload(tmp_path / "run"), protocol)
    found = pickle.read(data, "x")
    assert isinstance(found, Inert)
    assert found.name.endswith(".system")
    assert found.called
    assert not (tmp_path / "run").exists()
    python_pickle.loads(data)  # the payload is real: Python's own unpickler runs it
    assert (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'touch {}'\ntR.",
        b"(S'touch {}'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch {}'\no.",
        b"\x80\x02cos\nsystem\nX\x00\x00\x00\x00\x85\x81.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93)}\x92.",
        b'cbuiltins\neval\n(S\'open("{}", "w")\'\ntR.',
    ],
)
def test_no_calling_operation_calls(data, tmp_path):
    """REDUCE, INST, OBJ, NEWOBJ, NEWOBJ_EX: all become placeholders."""
    target = tmp_path / "run"
    found = pickle.read(data.replace(b"{}", str(target).encode()), "x")
    assert isinstance(found, Inert)
    assert found.called
    assert not target.exists()


def test_a_global_is_not_imported():
    found = pickle.read(b"cantigravity\nfly\n.", "x")
    assert (found.name, found.called) == ("antigravity.fly", False)
    assert "antigravity" not in sys.modules


def test_build_keeps_the_state_of_a_placeholder():
    class_like = collections.Counter(a=1)
    found = pickle.read(python_pickle.dumps(class_like), "x")
    assert found.name == "collections.Counter"


@pytest.mark.parametrize(
    "name", ["EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER"]
)
def test_operations_without_a_place_are_refused(name):
    opcode = next(op for op in pickletools.opcodes if op.name == name)
    with pytest.raises(UnsafeFileError, match=name):
        pickle.read(b"\x80\x05N" + opcode.code.encode("latin-1") + b"0000\n.", "x")


def test_a_compound_key_is_refused():
    """Hashing a tuple nested 100,000 deep would end the process, not raise."""
    deep = b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s."
    with pytest.raises(TeacherFileError, match="compound keys"):
        pickle.read(deep, "x")


def test_deep_nesting_is_read_and_freed_without_recursion():
    for opcode in (b"\x85", b"\x85]q\x00h\x00"):
        found = pickle.read(b"\x80\x02)" + opcode * 40_000 + b".", "x")
        del found


def test_a_long_pickle_is_refused():
    with pytest.raises(UnsafeFileError, match="operations"):
        pickle.read(b"\x80\x02" + b"N0" * pickle.MOST_OPERATIONS + b"N.", "x")


def test_a_large_pickle_is_refused(monkeypatch):
    monkeypatch.setattr(pickle, "MOST_BYTES", 10)
    with pytest.raises(UnsafeFileError, match="at most 10"):
        pickle.read(b"N" * 11, "x")


@pytest.mark.parametrize(
    "data",
    [b"", b".", b"\x80\x02", b"garbage", b"h\x05.", b"(.", b"0.", b"K\x01K\x02R.", b"]K\x01u."],
)
def test_a_broken_pickle_is_an_error_of_ours(data):
    with pytest.raises(TeacherFileError):
        pickle.read(data, "x")


@given(st.binary(max_size=60))
def test_random_bytes_never_raise_anything_else(data):
    with contextlib.suppress(RldistillError):
        pickle.read(b"\x80\x02" + data, "x")


def test_pickles_in_a_row_are_read_one_by_one():
    stream = io.BytesIO(python_pickle.dumps([1]) + python_pickle.dumps("two") + b"rest")
    assert pickle.read_next(stream, "x") == [1]
    assert pickle.read_next(stream, "x") == "two"
    assert stream.read() == b"rest"


def test_no_other_file_of_the_package_unpickles():
    """Neither pickle, cloudpickle, torch.load nor numpy's allow_pickle is used outside."""
    found = subprocess.run(
        [
            *("grep", "-rnE", "--include=*.py"),
            r"^\s*(import|from) (pickle|_pickle|cloudpickle|dill|joblib|marshal|shelve)\b"
            r"|pickletools|allow_pickle=True|torch\.load\(|weights_only=False",
            pickle.__file__.rsplit("/", 2)[0],
        ],
        capture_output=True,
        text=True,
    ).stdout
    lines = [line for line in found.splitlines() if not line.startswith(pickle.__file__)]
    # An exception's name reads nothing.
    harmless = ('"""', "torch.load(weights_only=True)", ":from pickle import PicklingError")
    assert not [line for line in lines if not any(words in line for words in harmless)]
