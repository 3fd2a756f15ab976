"""What the commands share."""

import json
import shlex
from dataclasses import dataclass
from typing import Annotated

import pytest

from rldistill.cli.terminal import command_line, interval, number, option, parse, print_json, switch


@dataclass(frozen=True)
class Flags:
    """Do a thing.

    Example: thing --num-envs 3
    """

    num_envs: Annotated[int | None, option("N")] = None
    """How many. Default: as many as there are."""
    check: Annotated[bool, switch()] = False
    """Exit with 3."""


def test_flags_are_read() -> None:
    assert parse(Flags, "thing", ["--num-envs", "3", "--check"]) == Flags(3, True)
    assert parse(Flags, "thing", []) == Flags()


def test_help_has_no_defaults_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The words of a flag say what leaving it out means; the example is not indented."""
    with pytest.raises(SystemExit):
        parse(Flags, "thing", ["--help"])
    out = capsys.readouterr().out
    assert "usage: rldistill thing" in out
    assert "\nExample: thing --num-envs 3" in out
    assert "(default" not in out
    assert "--no-check" not in out


@pytest.mark.parametrize("wrong", [["--num-emvs", "3"], ["--num-envs", "x"], ["extra"]])
def test_wrong_flags_are_exit_code_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(Flags, "thing", wrong)
    assert stopped.value.code == 2


def test_a_command_can_be_typed_again() -> None:
    arguments = ["my teacher.zip", "--env-kwargs", '{"a": 1}']
    line = command_line("distill", arguments)
    assert shlex.split(line) == ["rldistill", "distill", *arguments]


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": float("inf"), "c": 1})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": None, "c": 1}


def test_numbers_for_people() -> None:
    assert [number(x) for x in (None, 0.123456, -273.15, 1e6)] == ["-", "0.1235", "-273.1", "1e+06"]
    assert interval(1.0, 2.5) == "[1, 2.5]"
    assert interval(None, 2.5) == ""
