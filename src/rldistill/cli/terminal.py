"""What the commands share: reading flags, printing records, tables."""

import inspect
import shlex
import sys
from typing import Any, TypeVar

import tyro

Flags = TypeVar("Flags")


def option(metavar: str, name: str | None = None) -> Any:
    """A flag whose help says itself what leaving it out means."""
    return tyro.conf.arg(name=name, metavar=metavar, help_behavior_hint="")


def switch() -> Any:
    """A flag that takes no value; leaving it out means no."""
    return tyro.conf.arg(help_behavior_hint="")


def parse(flags: type[Flags], command: str, arguments: list[str]) -> Flags:
    """Read flags with tyro, which prints help and near names and exits by itself."""
    return tyro.cli(
        flags,
        args=arguments,
        prog=f"rldistill {command}",
        description=inspect.getdoc(flags),
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def command_line(command: str, arguments: list[str]) -> str:
    """The command as a user would type it again."""
    return shlex.join(["rldistill", command, *arguments])


def print_json(record: dict[str, Any]) -> None:
    """One object on one line; NaN never leaves: it becomes null."""
    from rldistill.runs import to_json  # brings numpy, which --help can do without

    sys.stdout.write(to_json(record) + "\n")
    sys.stdout.flush()


def number(value: float | None, digits: int = 4) -> str:
    """A number for people, or a dash.

    >>> number(1234.5678), number(None)
    ('1235', '-')
    """
    return "-" if value is None else f"{value:.{digits}g}"


def interval(low: float | None, high: float | None) -> str:
    """[low, high] for people.

    >>> interval(0.9, 1.02)
    '[0.9, 1.02]'
    """
    return "" if low is None or high is None else f"[{number(low)}, {number(high)}]"
