"""rldistill: the command line. This file imports nothing heavy; commands import what they need."""

import importlib
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from rldistill.errors import RldistillError, UsageError, did_you_mean

COMMANDS = {
    "distill": "distil a teacher into a small student, and prove that it holds",
    "train": "train a teacher: a Q-network on one task, or on several together",
    "follow": "distil a teacher while it is still learning",
    "merge": "distil teachers of several tasks into one student",
    "shrink": "find the smallest student that is shown to hold",
    "evaluate": "measure a policy, alone or against its teacher",
    "report": "one page on a run, or on several",
    "compare": "which of several runs is better, paired by seed where that can be",
    "inspect": "what is inside a policy file, without running anything in it",
    "explain": "a policy in words and pictures; proofs of what a tree can do",
    "video": "film teacher and student side by side",
    "export": "write a policy as ONNX, C, TorchScript and others, checked against itself",
    "starts": "record states that evaluations can start from",
    "collect": "write a teacher's observations, actions and outputs to a folder",
    "demo": "distil the LunarLander teacher that ships with the package",
    "runs": "list run folders",
    "methods": "list the rows of the method table",
    "advise": "which row of the method table fits: a few questions, or measurements",
    "lab": "small problems solved exactly: is a method's update a gradient?",
}
USAGE = "usage: rldistill COMMAND [flags]      (rldistill COMMAND --help tells more)"
EXAMPLE = "example: rldistill distill teacher.zip --task LunarLander-v3 --student mlp:16,16"

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_CHECK = 3
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
EXIT_TERMINATED = 143  # 128 + SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM: it ends a command in the way that Ctrl-C does, with another exit code."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: done. 1: something went wrong (the message says what to do). 2: wrong usage. 3: --check and
    the verdict is not `holds`, or a claim of explain --verify does not. 130: interrupted (Ctrl-C),
    143: terminated; the run is saved.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0
    command, rest = arguments[0], arguments[1:]
    if command in ("--version", "-V"):
        from importlib.metadata import version

        sys.stdout.write(f"rldistill {version('rldistill')}\n")
        return 0
    if command not in COMMANDS:
        sys.stderr.write(
            f"unknown command {command!r}.{did_you_mean(command, COMMANDS)}\n{USAGE}\n"
            f"commands: {', '.join(COMMANDS)}\n"
        )
        return EXIT_USAGE
    try:
        with stopped_by_sigterm():
            return int(importlib.import_module(f"rldistill.cli.{command}").run(rest))
    except RldistillError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_ERROR
    except SystemExit as stop:
        # From reading flags: help, or what was wrong with them, was printed.
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt as stop:
        sys.stderr.write("interrupted\n")
        return exit_code(stop)
    except BrokenPipeError:
        # Whoever read our output (head, less) has gone: not our failure. Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def exit_code(stop: BaseException) -> int:
    """The exit code of a command that was stopped from outside."""
    return EXIT_TERMINATED if isinstance(stop, Terminated) else EXIT_INTERRUPTED


def overview() -> str:
    """The text of `rldistill --help`."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return (
        "rldistill: take a trained policy, get a smaller one, with proof that it still does the job"
        f"\n\n{USAGE}\n\ncommands:\n{rows}\n\n{EXAMPLE}\n"
    )


@contextmanager
def stopped_by_sigterm() -> Generator[None]:
    """SIGTERM ends a command as Ctrl-C does; only a main thread can take signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does: saved, and resumable."""
    del number, frame
    raise Terminated
