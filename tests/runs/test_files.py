"""Files are replaced whole or not at all, and JSON from outside is never trusted."""

import errno
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldistill.errors import RunFolderError
from rldistill.runs import (
    RunFolder,
    atomic_write,
    read_json,
    to_json,
)


def fail_with(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


# --- atomic_write ---------------------------------------------------------------------------------


def test_atomic_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic_write(path, "old")
    atomic_write(path, "né".encode())
    assert path.read_text() == "né"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX")
def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    atomic_write(tmp_path / "ours", b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "no space left"), (errno.EACCES, "not writable")]
)
def test_a_failed_write_keeps_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, advice: str
) -> None:
    path = tmp_path / "a.json"
    atomic_write(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_with(number))
        with pytest.raises(RunFolderError, match=advice):
            atomic_write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_write_that_the_system_splits_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    atomic_write(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_writing_into_a_folder_that_is_not_there_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="No such file"):
        atomic_write(tmp_path / "absent" / "a", b"")


# --- JSON -----------------------------------------------------------------------------------------


def test_numpy_and_paths_become_plain_and_what_is_not_finite_becomes_null() -> None:
    record = {"a": np.float32(0.5), "b": np.array([1.0, np.nan]), "c": Path("x"), "d": -np.inf}
    assert json.loads(to_json(record)) == {"a": 0.5, "b": [1.0, None], "c": "x", "d": None}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), plain, max_size=4))
def test_json_round_trip(record: dict[str, object]) -> None:
    assert json.loads(to_json(record)) == record


@pytest.mark.parametrize("value", [{1: 2}, object(), {"a": {1, 2}}, b"x"])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="to_json"):
        to_json(value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1]",
        b"3",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": -Infinity}',
        b"\xff\xfe\x00",
        b'{"a": ' + b"[" * 200_000 + b"}",
        b'{"a": ' + b"9" * 100_000 + b"}",
        b'{"a": "' + b"x" * (17 * 2**20) + b'"}',
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_json_is_a_clear_error(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "run.json").write_bytes(text)
    with pytest.raises(RunFolderError, match=r"run\.json"):
        read_json(tmp_path / "run.json")
    with pytest.raises(RunFolderError, match="not a run folder"):
        RunFolder.open(tmp_path)


def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(RunFolderError, match="not a plain file"):
        read_json(tmp_path / "run.json")
