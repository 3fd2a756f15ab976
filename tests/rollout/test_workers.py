"""Workers: every item once, wherever it runs; a lost process is an error and not a wait."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def note_and_wait(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(60)


def alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux who is alive")
def test_the_processes_of_a_killed_sweep_end_with_it(tmp_path: Path) -> None:
    noted = tmp_path / "process"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_workers import note_and_wait\n"
        "from rldistill.rollout.workers import Processes\n"
        f"list(Processes(1).run(note_and_wait, [Path({str(noted)!r})]))\n"
    )
    sweep = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 60
    while not (noted.exists() and noted.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    worker = int(noted.read_text())
    assert alive(worker)
    sweep.kill()
    sweep.wait()
    end = time.monotonic() + 20
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(worker)


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
