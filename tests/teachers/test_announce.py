"""load_teacher says what it found: on stderr, or to the logging that a program has set up."""

import logging
import subprocess
import sys

import pytest
from torch import nn

from rldistill.core import CategoricalHead
from rldistill.teachers.announce import LOGGER
from rldistill.teachers.load import load_policy, load_teacher

HEAD = CategoricalHead(2)
FOUND = "Linear (live): 3 -> 2, 8 acting parameters, value no"


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a plain script: nobody listens to the logger (pytest would)."""
    monkeypatch.setattr(LOGGER, "hasHandlers", lambda: False)


def test_a_script_sees_one_line_on_stderr(unheard, capsys):
    load_teacher(nn.Linear(3, 2), head=HEAD)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{FOUND}\n")


def test_it_is_so_in_a_fresh_interpreter():
    code = (
        "from torch import nn; from rldistill import load_teacher\n"
        "from rldistill.core import CategoricalHead\n"
        "load_teacher(nn.Linear(3, 2), head=CategoricalHead(2))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", f"{FOUND}\n")


def test_a_program_with_logging_gets_a_record_instead(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="rldistill"):
        load_teacher(nn.Linear(3, 2), head=HEAD)
    assert [(r.name, r.levelname, r.message) for r in caplog.records] == [
        ("rldistill", "INFO", FOUND)
    ]
    assert capsys.readouterr().err == ""


def test_it_can_be_silenced(unheard, capsys):
    """By None, and by the level of the logger; load_policy says nothing."""
    load_teacher(nn.Linear(3, 2), head=HEAD, announce=None)
    load_policy(load_teacher(nn.Linear(3, 2), head=HEAD, announce=None))
    LOGGER.setLevel(logging.WARNING)
    try:
        load_teacher(nn.Linear(3, 2), head=HEAD)
    finally:
        LOGGER.setLevel(logging.NOTSET)
    assert capsys.readouterr().err == ""


def test_a_function_of_ones_own_gets_the_lines():
    said: list[str] = []
    load_teacher(nn.Linear(3, 2), head=HEAD, announce=said.append)
    assert said == [FOUND]


def test_a_notebook_shows_the_line_again():
    policy = load_teacher(nn.Linear(3, 2), head=HEAD, announce=None)
    assert repr(policy) == str(policy) == f"<NetworkPolicy {FOUND}>"
