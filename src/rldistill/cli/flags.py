"""Flags that several commands share, and how their values are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from rldistill.cli.terminal import option
from rldistill.errors import SettingError, UsageError, did_you_mean

if TYPE_CHECKING:
    from rldistill.envs.spec import TaskSpec

BACKENDS = ("auto", "envpool", "gymnasium", "ale", "minatar")


def one_of(flag: str, *known: str) -> Any:
    """The values of a flag that has few; a near one is asked about."""

    def read(text: str) -> str:
        if text not in known:
            raise UsageError(
                f"{flag} must be one of {', '.join(known)}; got {text!r}."
                f"{did_you_mean(text, known)}"
            )
        return text

    return _reader(read)


def acting(flag: str) -> Any:
    """How a policy acts: mode or sample, or with an epsilon as in mode:0.05."""

    def read(text: str) -> str:
        from rldistill.core import Acting

        try:
            return str(Acting.parse(text, flag))
        except SettingError as error:
            raise UsageError(str(error)) from error

    return _reader(read)


def head_name(flag: str) -> Any:
    """What outputs mean: the name of a head."""

    def read(text: str) -> str:
        from rldistill.teachers.head_names import check_head_name

        try:
            return check_head_name(text)
        except SettingError as error:
            raise UsageError(f"{flag}: {error}") from error

    return _reader(read)


def view(flag: str) -> Any:
    """What a policy sees: the text of a view."""

    def read(text: str) -> str:
        from rldistill.envs.views import View

        try:
            return str(View.parse(text, flag))
        except SettingError as error:
            raise UsageError(str(error)) from error

    return _reader(read)


def whole_number(flag: str) -> Any:
    """A flag that takes a whole number; 1_000_000 may have underscores."""
    return _reader(lambda text: _number(flag, "a whole number", int, text))


def real_number(flag: str) -> Any:
    """A flag that takes a number."""
    return _reader(lambda text: _number(flag, "a number", float, text))


def _number(flag: str, what: str, read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{flag} must be {what}; got {text!r}") from error


def _reader(read: Callable[[str], Any]) -> PrimitiveConstructorSpec[Any]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="VALUE",  # option() says a better one
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


@dataclass(frozen=True)
class EnvironmentFlags:
    """How the task's environments are made."""

    backend: Annotated[
        str | None, option("auto|envpool|gymnasium|ale|minatar"), one_of("--backend", *BACKENDS)
    ] = None
    """What steps the environments. Default: auto, the fastest that is shown to be the same task."""
    env_kwargs: Annotated[str | None, option("K=V,...")] = None
    """Arguments of the environment: gravity=-9.5,enable_wind=true, or a JSON object."""
    wrapper: Annotated[str | None, option("MODULE:FN")] = None
    """A function that takes and returns a gymnasium environment; applied to each of them."""
    imports: Annotated[tuple[str, ...] | None, option("MODULE...", "import")] = None
    """Python modules to import first, because they register the task."""
    teacher_view: Annotated[str | None, option("VIEW"), view("--teacher-view")] = None
    """What the teacher sees of the task, as for --student-view. Default: all that it gives."""
    student_view: Annotated[str | None, option("VIEW"), view("--student-view")] = None
    """What the student sees: entries such as 0,1,4:6, or drop:2, keys:NAME, noise:0.1, stack:4,
    change, previous-action, pixels, ram, objects, MODULE:FN, joined by + (docs/views.md)."""

    def task(self, task_id: str) -> "TaskSpec":
        """The task of this id, made as these flags say.

        Raises:
            SettingError: a flag is wrong, or without effect beside the others.
        """
        from rldistill.envs.spec import TaskSpec
        from rldistill.envs.views import View
        from rldistill.recipes.models import parse_env_kwargs

        return TaskSpec(
            id=task_id,
            backend=self.backend or "auto",
            env_kwargs=parse_env_kwargs(self.env_kwargs or ""),
            wrapper=self.wrapper,
            imports=self.imports or (),
            teacher_view=None if self.teacher_view is None else View.parse(self.teacher_view),
            student_view=None if self.student_view is None else View.parse(self.student_view),
        )

    def refuse_views(self, *names: str, why: str) -> None:
        """Say that views have no effect in a command.

        Args:
            names: of the flags.
            why: the end of a sentence that begins with the flag.

        Raises:
            SettingError: one was given.
        """
        for name in names:
            if getattr(self, name) is not None:
                raise SettingError(f"--{name.replace('_', '-')} {why}")


# As a field of a command's flags: its flags have no prefix.
Environment = Annotated[EnvironmentFlags, tyro.conf.OmitArgPrefixes]
