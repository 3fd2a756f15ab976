"""The one exception tree: every error says what was required, what came, and what to do."""

import difflib
import importlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from types import ModuleType

# Modules that nobody asks for by name: what they belong to is said with them.
_ASKED_FOR = {"h5py": "minari with its h5py"}


class RldistillError(Exception):
    """Base of every error this library raises on purpose; the CLI prints it without a traceback."""


class ShapeError(RldistillError, ValueError):
    """Tensors or spaces whose shapes do not belong together."""


class SettingError(RldistillError, ValueError):
    """A setting that is out of range, unknown, or without effect."""


class UsageError(RldistillError):
    """A flag of a command whose value cannot be read."""


class TeacherFileError(RldistillError):
    """A policy file that cannot be read: missing, truncated, of unknown format, or inconsistent."""


class UnsafeFileError(TeacherFileError):
    """A file refused because reading it further could run code or exhaust the machine."""


class TaskError(RldistillError):
    """An unknown task, or a policy and a task that do not fit each other."""


class MisfitError(TaskError):
    """A policy that sees or does something else than what it was loaded for.

    Attributes:
        source: where the policy is from.
        takes: what the policy sees or does, a verb first.
        gives: what the other side shows or takes, a verb first.
    """

    def __init__(
        self, source: str, takes: str, gives: str, names: tuple[str, str] = ("teacher", "task")
    ) -> None:
        policy, other = names
        super().__init__(f"{source}: the {policy} {takes}, the {other} {gives}")
        self.source, self.takes, self.gives = source, takes, gives


@contextmanager
def between(policy: str, other: str) -> Generator[None]:
    """Where a policy is no teacher, or what it must fit is no task, a MisfitError says so.

    >>> with between("policy", "dataset"):
    ...     raise MisfitError("a.zip", "takes 4 numbers", "gives 6")
    Traceback (most recent call last):
    rldistill.errors.MisfitError: a.zip: the policy takes 4 numbers, the dataset gives 6
    """
    try:
        yield
    except MisfitError as error:
        names = (policy, other)
        raise MisfitError(error.source, error.takes, error.gives, names) from error


class EnvironmentFailure(RldistillError):
    """An environment that raised, never ended, or returned something that is not a number."""


class NotFiniteError(RldistillError, ValueError):
    """NaN or infinity where a finite number is required."""


class MissingExtraError(RldistillError, ImportError):
    """An optional dependency that is not installed."""


class RunFolderError(RldistillError):
    """A run folder that exists, is locked, is not writable, or does not belong to this command."""


class ExportError(RldistillError):
    """An export that is not the policy it was made of, cannot be checked, or is not one of ours."""


class DatasetError(RldistillError):
    """A dataset that is damaged or does not fit the task or the method."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with up to three near names, or an empty string.

    >>> did_you_mean("LunarLandr-v3", ["LunarLander-v3", "CartPole-v1"])
    ' Did you mean LunarLander-v3?'
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(by_lower[match] for match in near)}?" if near else ""


def near_names(name: str, known: Iterable[str]) -> str:
    """What did_you_mean says, behind the full stop of the sentence that it follows; or "".

    >>> "no a.zp" + near_names("a.zp", ["a.zip"]), "no a.zp" + near_names("a.zp", [])
    ('no a.zp. Did you mean a.zip?', 'no a.zp')
    """
    near = did_you_mean(name, known)
    return near and f".{near}"


def pip_line(extra: str) -> str:
    """The command that installs an extra, from a package index and from a checkout.

    >>> pip_line("fast")
    'pip install "rldistill[fast]" (in a checkout: pip install ".[fast]")'
    """
    return f'pip install "rldistill[{extra}]" (in a checkout: pip install ".[{extra}]")'


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or raise with the exact pip line that installs it.

    Args:
        module: what to import, for example "envpool".
        extra: the extra of this package that brings it, for example "fast".

    Raises:
        MissingExtraError: the module is not installed.

    >>> require("json", extra="none").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks something itself
        name = _ASKED_FOR.get(module, module)
        raise MissingExtraError(f"{name} is not installed; run: {pip_line(extra)}") from error
