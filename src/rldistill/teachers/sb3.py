"""Zips of stable-baselines3 and sb3-contrib: tensors and JSON, read without those packages.

Nothing in a file is run: the JSON is plain text whose pickled fields stay closed, and the tensors
are read by our own allow-list reader.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from torch import Tensor

from rldistill.errors import TeacherFileError
from rldistill.teachers.archive import Archive, read_file, safe_text
from rldistill.teachers.settings import MOST_JSON_BYTES, Settings, settings_of_json
from rldistill.teachers.tensors import read_tensors

VARIABLES = ("pytorch_variables.pth", "tensors.pth")  # the latter before 1.0
_VERSION = re.compile(r"[\w.+-]{1,32}", re.ASCII)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A model of stable-baselines3 as plain data, from a zip or a live object.

    Attributes:
        tensors: the state dict of its policy.
        settings: the rest of what is known.
        variables: tensors outside the policy (SAC's entropy coefficient).
        version: of stable-baselines3, "" if unknown.
        source: the file, for messages and the record.
        fingerprint: sha256 of the file.
    """

    tensors: Mapping[str, Tensor]
    settings: Settings
    variables: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    version: str = ""
    source: str
    fingerprint: str


def read_zip(path: Path) -> Saved:
    """The tensors and readable settings of a zip.

    Raises:
        TeacherFileError: not such a zip, damaged, or not readable.
        UnsafeFileError: beyond the bounds.
    """
    data, what = read_file(path), str(path)
    archive = Archive(data, what)
    if not {"data", "policy.pth"} <= set(archive.names):
        held = ", ".join(safe_text(name) for name in archive.names[:8]) or "nothing"
        raise TeacherFileError(
            f"{what} is no zip of stable-baselines3, which has data and policy.pth; it holds {held}"
        )
    settings = settings_of_json(archive.read("data", MOST_JSON_BYTES), what)
    variables: dict[str, Tensor] = {}
    for name in VARIABLES:
        if name in archive.names:
            variables |= _variables(archive.read(name), f"{what}: {name}")
    return Saved(
        tensors=read_tensors(archive.read("policy.pth"), f"{what}: policy.pth"),
        settings=settings,
        variables=variables,
        version=_version(archive),
        source=what,
        fingerprint=hashlib.sha256(data).hexdigest(),
    )


def _variables(data: bytes, what: str) -> dict[str, Tensor]:
    try:
        return read_tensors(data, what)
    except TeacherFileError:
        return {}  # only the value of SAC needs them, and says so where they are missing


def _version(archive: Archive) -> str:
    name = "_stable_baselines3_version"
    if name not in archive.names:
        return ""
    text = archive.read(name, 1024).decode("ascii", "replace").strip()
    return text if _VERSION.fullmatch(text) else ""
