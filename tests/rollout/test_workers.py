"""Workers: every item once, wherever it runs; a lost process is an error and not a wait."""

import os
import signal

import pytest

from rldistill.errors import EnvironmentFailure, SettingError
from rldistill.rollout.workers import Here, Processes, workers_for


def square(x: int) -> tuple[int, int]:
    return x * x, os.getpid()


def refuse(x: int) -> int:
    raise SettingError(f"{x} is refused")


def die(x: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_processes_do_every_item_once_and_elsewhere() -> None:
    results = list(Processes(2).run(square, [1, 2, 3]))
    assert sorted(result for result, _ in results) == [1, 4, 9]
    assert all(process != os.getpid() for _, process in results)


@pytest.mark.parametrize("workers", [Here(), Processes(1)])
def test_an_error_comes_as_it_is(workers: Here | Processes) -> None:
    with pytest.raises(SettingError, match="7 is refused"):
        list(workers.run(refuse, [7]))


def test_a_killed_process_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(EnvironmentFailure, match="--resume"):
        list(Processes(1).run(die, [1]))


def test_what_cannot_travel_is_told() -> None:
    with pytest.raises(SettingError, match=r"top of a module .*workers=1"):
        list(Processes(1).run(square, [lambda: 1]))


def test_as_many_as_asked_or_as_there_are_cores() -> None:
    assert workers_for(1) == Here()
    assert workers_for(3) == Processes(3)
    cores = len(os.sched_getaffinity(0))
    assert workers_for(None) == (Here() if cores == 1 else Processes(cores))
    with pytest.raises(SettingError, match="at least 1"):
        workers_for(0)
