"""Sweeps on Follow-v0 that last a second."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from small_runs import FOLLOW, follower

from rldistill.errors import SettingError, require
from rldistill.runs import atomic_write
from rldistill.train import shrink_rung
from rldistill.train.prepare_shrink import ShrinkRequest, prepare_sweep
from rldistill.train.shrink_settings import ShrinkSettings
from rldistill.train.shrink_sweep import Sweep

LADDER = ("mlp:8", "mlp:2", "mlp:linear")


def small_sweep(out: Path, resume: bool = False, **changes: Any) -> Sweep:
    """A sweep of 3 x 1,024 steps; teacher and task may be given among the settings."""
    given = {"teacher": follower(), "task": FOLLOW}
    given = {name: changes.pop(name, value) for name, value in given.items()}
    usual = {"ladder": LADDER, "steps": 3072, "stages": 2, "prune": (), "int8": False}
    settings = ShrinkSettings(**(usual | changes))
    return prepare_sweep(ShrinkRequest(**given, out=out, resume=resume, settings=settings))


class Watched:
    """Workers that note every order, and may fail before one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.orders: list[Any] = []
        self.fail_at = fail_at

    def run(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            if len(self.orders) == self.fail_at:
                raise KeyboardInterrupt
            self.orders.append(item)
            yield function(item)


@dataclass(frozen=True)
class Doomed:
    """Calls a function; on one node it stops in the middle of a stage, and never ends.

    Attributes:
        function: climb.
        node: the id of that node.
        note: written once the student has learnt, labelled its states and is about to be tested.
    """

    function: Callable[[Any], Any]
    node: str
    note: Path

    def __call__(self, item: Any) -> Any:
        if require("ray", "ray").get_runtime_context().get_node_id() == self.node:

            def wait(*arguments: Any) -> Any:
                atomic_write(self.note, item.student)  # whole, or not there yet
                time.sleep(600)

            shrink_rung.judge = wait
        return self.function(item)


def refuse(item: int) -> int:
    """A function that fails, for workers that can import this file."""
    raise SettingError(f"{item} is refused")
