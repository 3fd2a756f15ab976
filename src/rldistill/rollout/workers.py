"""Where the independent parts of a sweep run: in this process, or in one process per core."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
from typing import Protocol, TypeVar, final

import torch

from rldistill.errors import EnvironmentFailure, SettingError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Protocol):
    """Calls a function on each of several items; results come as they are ready, in any order."""

    def run(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result]: ...


@final
@dataclass(frozen=True, slots=True)
class Here:
    """One item after the other, in this process.

    >>> list(Here().run(abs, [-2, 1]))
    [2, 1]
    """

    def run(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The results, in the order of the items."""
        return map(function, items)


@final
@dataclass(frozen=True, slots=True)
class Processes:
    """So many processes of one torch thread each.

    Attributes:
        count: how many; function and items must be such that pickle can send them.

    Raises:
        SettingError: count is below 1.
    """

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingError(f"workers must be at least 1, got {self.count}")

    def run(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The results as they come.

        Raises:
            EnvironmentFailure: a process was killed from outside.
            SettingError: an item holds what no other process can be sent.
        """
        if not items:
            return
        require_picklable(items[0])
        # Forked processes inherit the locks of threads that they do not inherit.
        spawn = multiprocessing.get_context("spawn")
        count = min(self.count, len(items))
        executor = ProcessPoolExecutor(count, spawn, initializer=prepare_process)
        try:
            for done in as_completed([executor.submit(function, item) for item in items]):
                yield done.result()
        except BrokenProcessPool as error:
            raise EnvironmentFailure(
                "a process of the sweep was killed, perhaps for memory: give fewer --workers and "
                "go on with --resume"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)


def require_picklable(item: object) -> None:
    """Check that an item can be sent to another process.

    Raises:
        SettingError: it cannot.
    """
    try:
        ForkingPickler.dumps(item)
    except (PicklingError, AttributeError, TypeError) as error:
        raise SettingError(
            f"this cannot be sent to other processes: {error}; define functions and classes at the "
            "top of a module that can be imported, or stay in this process (workers=1)"
        ) from error


def prepare_process() -> None:
    """Processes side by side, each with a thread per core, would only get in each other's way.

    And one whose sweep was killed would go on working for nobody: it ends with it.
    """
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def workers_for(count: int | None) -> Workers:
    """So many processes; None: one for each core that this process may use.

    Raises:
        SettingError: count is below 1.

    >>> workers_for(1)
    Here()
    """
    count = len(os.sched_getaffinity(0)) if count is None else count
    return Here() if count == 1 else Processes(count)
