"""Fixtures of the tests of the command line: a command, its output, and small teachers."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command, Result
from small_runs import QUICK, follower_folder

from rldistill.cli import distill
from rldistill.cli.main import main
from rldistill.methods import catalogue
from rldistill.train import prepare

WRITE_REPORT = distill.write_report


@pytest.fixture
def rldistill(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(autouse=True)
def small_and_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, the default method in small rounds, and no waiting for the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setitem(catalogue.ROWS, catalogue.DEFAULT, replace(QUICK, name=catalogue.DEFAULT))
    monkeypatch.setattr(prepare, "FIRST_LOOK", 1024)
    # Drawing takes longer than these runs; tests of the report take the real one.
    monkeypatch.setattr(distill, "write_report", lambda job, as_json: None)


@pytest.fixture
def real_report() -> Callable[..., None]:
    """What distill does at its end."""
    return WRITE_REPORT


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A teacher of Follow-v0 on disk."""
    return follower_folder(tmp_path / "teacher")
