"""Runs cells side by side, each in a process of its own, and keeps what went wrong."""

import multiprocessing
import signal
import sys
import time
from multiprocessing.process import BaseProcess

import torch
from rusu2015_cells import path_of, result, run
from rusu2015_suites import RESULTS, Cell, Suite

from rldistill.runs import atomic_write

CELL_MINUTES = 20.0
# A cell starts from what is imported already, where the system can do that.
PROCESSES = (
    multiprocessing.get_context("fork")
    if "fork" in multiprocessing.get_all_start_methods()
    else multiprocessing.get_context("spawn")
)


def run_missing(
    suite: Suite,
    planned: list[Cell],
    jobs: int = 2,
    minutes: float | None = None,
    limit: float = CELL_MINUTES,
) -> None:
    """Run cells until none is missing or time is up; a cell that fails is named and passed over.

    Args:
        suite: of the cells.
        planned: which cells.
        jobs: how many at a time.
        minutes: after which no cell is begun.
        limit: minutes after which a cell is ended.
    """
    until = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    missing = [cell for cell in planned if result(suite, cell) is None]
    missing.sort(key=lambda cell: failure_of(suite, cell) is not None)
    sys.stdout.write(f"{suite.name}: {len(missing)} of {len(planned)} cells are missing\n")
    sys.stdout.flush()
    running: dict[BaseProcess, tuple[Cell, float]] = {}
    try:
        while missing or running:
            if time.monotonic() >= until and missing:
                sys.stdout.write("time is up; cells that run are finished\n")
                missing.clear()
            while missing and len(running) < jobs:
                cell = missing.pop(0)
                process = PROCESSES.Process(target=attempt, args=(suite, cell))
                process.start()
                running[process] = (cell, time.monotonic() + 60 * limit)
            harvest(suite, running, limit)
            time.sleep(0.05)
    finally:
        for process in running:
            end(process)


def end(process: BaseProcess) -> None:
    """End a process; it may tidy up for ten seconds."""
    process.terminate()
    process.join(10.0)
    process.kill()
    process.join()


def harvest(suite: Suite, running: dict[BaseProcess, tuple[Cell, float]], limit: float) -> None:
    """Take out the processes that ended, and end those that are over time."""
    for process, (cell, deadline) in list(running.items()):
        if process.is_alive():
            if time.monotonic() < deadline:
                continue
            end(process)
            fail(suite, cell, f"not done after {limit:g} minutes")
        elif process.exitcode and failure_of(suite, cell) is None:
            fail(suite, cell, f"its process ended with {process.exitcode}")
        del running[process]
        say(suite, cell)


def attempt(suite: Suite, cell: Cell) -> None:
    """Run a cell in this process; what goes wrong, whatever it is, is written beside its result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that began this one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    torch.set_num_threads(1)
    path_of(suite, cell).with_suffix(".failed").unlink(missing_ok=True)
    try:
        run(suite, cell)
    except Exception as error:
        fail(suite, cell, f"{type(error).__name__}: {error}")


def fail(suite: Suite, cell: Cell, why: str) -> None:
    """Keep why a cell gave nothing, on one line."""
    path = path_of(suite, cell).with_suffix(".failed")
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, " ".join(why.split()) + "\n")


def failure_of(suite: Suite, cell: Cell) -> str | None:
    """Why a cell gave nothing when it was last tried; None where it did not fail."""
    path = path_of(suite, cell).with_suffix(".failed")
    return path.read_text().strip() if path.exists() else None


def failures(suite: Suite) -> dict[str, str]:
    """All cells that failed when they were last tried, by name."""
    files = sorted((RESULTS / suite.name).glob("*.failed"))
    return {path.stem: path.read_text().strip() for path in files}


def say(suite: Suite, cell: Cell) -> None:
    """One line about a cell that ended."""
    record, name = result(suite, cell), path_of(suite, cell).stem
    if record is None:
        sys.stdout.write(f"{name}: not run: {failure_of(suite, cell)}\n")
    else:
        means = ", ".join(
            f"{game} {sum(values) / len(values):.2f}" for game, values in record["returns"].items()
        )
        sys.stdout.write(f"{name}: {means} ({record['seconds']:.0f} s)\n")
    sys.stdout.flush()
