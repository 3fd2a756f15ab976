"""Saying what a loader found, to a Python user who arranged nothing for it."""

import logging
import sys

LOGGER = logging.getLogger("rldistill")


def say(line: str) -> None:
    """Log a line at INFO to the logger "rldistill"; write it to stderr where no program listens.

    Python shows INFO to nobody by default. A program that has handlers (logging.basicConfig, say)
    gets the record and decides; `logging.getLogger("rldistill").setLevel("WARNING")` silences it.
    """
    if LOGGER.hasHandlers():
        LOGGER.info(line)
    elif LOGGER.isEnabledFor(logging.INFO) or LOGGER.level == logging.NOTSET:
        sys.stderr.write(f"{line}\n")
