"""Files written whole or not at all, JSON without NaN, and the lock of a folder."""

import contextlib
import errno
import json
import math
import os
import secrets
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import filelock
import numpy as np

from rldistill.errors import RunFolderError

MAX_JSON_BYTES = 16 * 2**20  # a JSON document of ours is a few KiB; more is not ours

_LOCK, _LOCK_PID = ".lock", ".lock.pid"
_PARTIAL = ".partial"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}


def storage_advice(error: OSError, path: Path) -> str:
    """What went wrong at path and what to do about it, in one line."""
    if error.errno in _NO_SPACE:
        return f"no space left to write {path}: free some, then try again; the old file is intact"
    if error.errno in _NO_ACCESS:
        return f"{path} is not writable: change its permissions or choose another folder"
    return f"{path}: {error.strerror or error}"


def make_folder(folder: Path) -> None:
    """Make a folder and its parents where they are not there yet.

    Raises:
        OSError: as mkdir, and "permission denied" where the system says that a new name does not
            exist: /proc and its like refuse in that way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder)) from error


def sync_folder(folder: Path) -> None:
    """Make renames in this folder outlast a power cut, where the system can (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Replace the file at path by data (text as UTF-8), or leave it as it was.

    The data goes to a new file in the same folder, to the disk, then over the old name.

    Raises:
        RunFolderError: no space, no permission, no such folder. The old file is intact.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        # 0o666 and not mkstemp's 0o600: the file gets the permissions any other new file would.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(partial, flags, 0o666)
        try:
            write_all(descriptor, data.encode() if isinstance(data, str) else data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            raise RunFolderError(storage_advice(error, path)) from error
        raise
    sync_folder(path.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """os.write until nothing is left: one call may write less than it was given.

    Raises:
        OSError: as os.write.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def to_json(value: object, indent: int | None = None) -> str:
    """JSON text of numbers, strings, containers, paths and numpy arrays; NaN and infinity -> null.

    Raises:
        TypeError: a value of another type, or a key that is not a string.

    >>> to_json({"loss": float("nan"), "shape": (4,), "n": np.int64(3)})
    '{"loss": null, "shape": [4], "n": 3}'
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic | np.ndarray):
        return _plain(cast("Any", value).tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        if wrong := [key for key, _ in items if not isinstance(key, str)]:
            raise TypeError(f"to_json: keys must be strings; got {wrong[0]!r}")
        return {key: _plain(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[object]", value)]
    raise TypeError(f"to_json: cannot write a {type(value).__name__}")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, read as untrusted input.

    Raises:
        RunFolderError: missing, unreadable, too large, not JSON, or not an object.
    """
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise RunFolderError(f"{path} is not a plain file")
        with path.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
    if len(text) > MAX_JSON_BYTES:
        raise RunFolderError(f"{path} is larger than {MAX_JSON_BYTES} bytes: not a file of ours")
    return parse_object(text, str(path))


def parse_object(text: bytes, where: str) -> dict[str, Any]:
    """The JSON object in text.

    Raises:
        RunFolderError: it is anything else, or damaged; the message begins with `where`.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{where} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise RunFolderError(f"{where}: expected a JSON object, got {type(value).__name__}")
    return cast("dict[str, Any]", value)


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")


@contextlib.contextmanager
def lock_folder(folder: Path) -> Generator[None, None, None]:
    """Hold the folder's lock: one writer at a time; the system frees it when the holder dies.

    Raises:
        RunFolderError: another process holds it (named by its id), or it cannot be locked.
    """
    lock = filelock.FileLock(folder / _LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise RunFolderError(
            f"{folder} is in use by {_lock_holder(folder)}: wait for it, stop it, "
            "or choose another folder"
        ) from None
    except OSError as error:
        raise RunFolderError(f"cannot lock: {storage_advice(error, folder)}") from error
    try:
        for stray in folder.glob(f".*{_PARTIAL}"):  # of a process that was killed while writing
            if not stray.is_dir():
                stray.unlink(missing_ok=True)
        atomic_write(folder / _LOCK_PID, str(os.getpid()))
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / _LOCK_PID).unlink()
        # The lock file itself stays: deleting it would let two processes lock two files.
        lock.release()


def _lock_holder(folder: Path) -> str:
    try:
        pid = (folder / _LOCK_PID).read_bytes()[:20].decode()
    except (OSError, ValueError):
        return "another process"
    return f"process {pid}" if pid.isdecimal() else "another process"


def is_scaffolding(name: str) -> bool:
    """Whether a name is that of a lock or of a half-written file: content of nobody's."""
    return name in (_LOCK, _LOCK_PID) or (name.startswith(".") and name.endswith(_PARTIAL))
