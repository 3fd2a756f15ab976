"""Teachers that a text names in another way than by a path.

py:my_module:policy          an object of the user's own code: it is run, as it is his own
ensemble:A,B,C               the mean of several teachers; confident:A,B,C the surest per state
hf://org/name[/file]         a file of the Hugging Face Hub, through its local cache
"""

import hashlib
import inspect
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, final

from rldistill.envs.wrappers import import_user_module
from rldistill.errors import SettingError, near_names
from rldistill.runs import live_object

_PY = re.compile(r"py:([\w.]+):([\w.]+)")
_HUB = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)(?:@([\w.-]+))?(?:/(.+))?")
_ENSEMBLE = re.compile(r"(ensemble|confident):(.*)")
_SCHEME = re.compile(r"(py|hf|ensemble|confident):")


@final
@dataclass(frozen=True, slots=True)
class PyName:
    """An attribute of a module."""

    module: str
    attribute: str


@final
@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository of the Hub; no file: the only policy in it."""

    repository: str
    revision: str | None
    file: str | None


@final
@dataclass(frozen=True, slots=True)
class Members:
    """Teachers that decide together: by their mean, or the surest in each state."""

    sources: tuple[str, ...]
    is_confident: bool


def parse_uri(source: object) -> PyName | HubFile | Members | None:
    """What a text names, None for a path (one whose file exists is always a path).

    Raises:
        SettingError: it begins like one of the forms and goes on differently.

    >>> parse_uri("py:my_rules:policy")
    PyName(module='my_rules', attribute='policy')
    >>> parse_uri("ensemble:a.zip,b.zip").sources
    ('a.zip', 'b.zip')
    """
    if not isinstance(source, (str, os.PathLike)):
        return None
    text = str(source)
    if not _SCHEME.match(text) or Path(text).exists():
        return None
    if found := _PY.fullmatch(text):
        return PyName(found[1], found[2])
    if found := _HUB.fullmatch(text):
        return HubFile(found[1], found[2], found[3])
    if found := _ENSEMBLE.fullmatch(text):
        sources = tuple(part.strip() for part in found[2].split(","))
        if len(sources) > 1 and all(sources):
            return Members(sources, found[1] == "confident")
        raise SettingError(f"{text}: an ensemble has at least two teachers: {found[1]}:A,B")
    form = {"py": "py:MODULE:NAME", "hf": "hf://ORG/NAME[@REVISION][/FILE]"}[text.split(":")[0]]
    raise SettingError(f"{text!r} must have the form {form}")


def name_of_source(teacher: object) -> str | None:
    """The path or URI of a teacher, or what stands for a live object; for the record of a run."""
    if teacher is None:
        return None
    if isinstance(teacher, (str, os.PathLike)):
        return str(teacher) if parse_uri(teacher) is not None else str(Path(teacher))
    return live_object(type(teacher).__name__)


def import_object(name: PyName) -> tuple[Any, str]:
    """The object of the user's own code, and sha256 of the source of its module.

    Modules are looked for in the current folder too, as `python -m` does.

    Raises:
        SettingError: no such module or attribute, or importing it fails.
    """
    module = import_user_module(name.module, f"py:{name.module}:{name.attribute}")
    found: Any = module
    for part in name.attribute.split("."):
        if part not in dir(found):
            raise SettingError(
                f"module {name.module} has no {name.attribute}"
                f"{near_names(part, [n for n in dir(found) if not n.startswith('_')])}"
            )
        found = getattr(found, part)
    return found, _digest(module)


def _digest(module: ModuleType) -> str:
    """sha256 of a module's source; of its name where it has none (a built one)."""
    try:
        data = Path(inspect.getsourcefile(module) or "").read_bytes()
    except (OSError, TypeError):
        data = module.__name__.encode()
    return hashlib.sha256(data).hexdigest()
