"""What a command did and what its last line holds, for the tests of the command line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rldistill.train.learners import PerStateLearner

TASK = ("--task", "Follow-v0", "--import", "small_runs")
NUMBER = (int, float)
# The keys that the last line has at least, and what they are where they apply.
TYPES: dict[str, Any] = {
    "verdict": str, "floor": NUMBER, "fraction": NUMBER, "fraction_low": NUMBER,
    "fraction_high": NUMBER, "student_return": NUMBER, "teacher_return": NUMBER,
    "random_return": NUMBER, "episodes": int, "episodes_to_settle": int, "paired": bool,
    "act": dict, "agreement": NUMBER, "teacher_parameters": int, "student_parameters": int,
    "env_steps": int, "train_seconds": NUMBER, "total_seconds": NUMBER, "run": str,
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The objects of --json, one per line; NaN and infinity are not JSON."""

        def refuse(text: str) -> Any:
            raise AssertionError(f"{text} in --json")

        return [json.loads(line, parse_constant=refuse) for line in self.out.splitlines()]


Command = Callable[..., Result]


def check_types(record: dict[str, Any], absent: set[str]) -> None:
    """Every key is there, of its type, and null exactly where it does not apply."""
    for key, kind in TYPES.items():
        assert key in record
        assert (record[key] is None) == (key in absent), key
        assert record[key] is None or isinstance(record[key], kind), key


def interrupt_learning(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """KeyboardInterrupt in the given call of learn()."""
    learn, calls = PerStateLearner.learn, [0]

    def interrupted(*arguments: Any) -> float:
        calls[0] += 1
        if calls[0] == call:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(PerStateLearner, "learn", interrupted)
