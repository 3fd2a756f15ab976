"""Sweeps on Follow-v0 that last a second."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from small_runs import FOLLOW, follower

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
