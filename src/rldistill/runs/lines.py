"""Files of one JSON object per line, appended: a line torn by a crash is never read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldistill.errors import RunFolderError
from rldistill.runs.files import parse_object, storage_advice, to_json, write_all

MAX_LINE_BYTES = 2**20


def append_line(path: Path, record: Mapping[str, object]) -> None:
    """Add one line; a line torn by a crash is dropped first.

    Raises:
        RunFolderError: no space or no permission; the lines before are intact.
    """
    line = to_json(record).encode() + b"\n"
    try:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o666)
        try:
            os.lseek(descriptor, _end_of_whole_lines(descriptor), os.SEEK_SET)
            write_all(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RunFolderError(storage_advice(error, path)) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All records, oldest first; none if the file is missing.

    A last line without its newline was torn by a crash and is left out.

    Raises:
        RunFolderError: any other line is not a JSON object.
    """
    records: list[dict[str, Any]] = []
    try:
        with path.open("rb") as file:
            while (line := file.readline(MAX_LINE_BYTES)).endswith(b"\n"):
                records.append(parse_object(line, f"{path}, line {len(records) + 1},"))
            if len(line) == MAX_LINE_BYTES:
                raise RunFolderError(f"{path}: line {len(records) + 1} is too long")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror}") from error
    return records


def _end_of_whole_lines(descriptor: int) -> int:
    """Cut what follows the last newline; return the length that is left, in bytes."""
    end = size = os.lseek(descriptor, 0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65536)
        os.lseek(descriptor, start, os.SEEK_SET)
        newline = os.read(descriptor, end - start).rfind(b"\n")
        end = start if newline < 0 else start + newline + 1
        if newline >= 0:
            break
    if end < size:
        os.ftruncate(descriptor, end)
    return end
