"""Weights & Biases, with a module in its place: what it is told, and how the log ends."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_runs import quick_job

from rldistill.errors import MissingExtraError, RldistillError
from rldistill.integrations.wandb import logged_to_wandb
from rldistill.train.distill import distilling


class Log:
    """Remembers what it is told."""

    def __init__(self, **given: Any) -> None:
        self.given, self.records, self.summary, self.exit_code = given, [], {}, None

    def log(self, numbers: dict[str, float], step: int) -> None:
        self.records.append((step, numbers))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[Log]:
    made: list[Log] = []

    def init(**given: Any) -> Log:
        made.append(Log(**given))
        return made[-1]

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    return made


def test_a_run_is_logged_as_it_goes(logs: list[Log], tmp_path: Path) -> None:
    """Every record passes, the steps rise, the verdict is the summary, and the log is closed."""
    job = quick_job(tmp_path / "run")
    passed = list(logged_to_wandb(distilling(job), job, "mine"))
    (log,) = logs
    assert log.given["project"] == "mine"
    assert log.given["name"] == "run"
    assert log.given["config"]["task"] == "Follow-v0"
    assert len(log.records) == len(passed) > 3
    steps = [step for step, _ in log.records]
    assert steps == sorted(steps)
    assert all(isinstance(value, int | float) for _, n in log.records for value in n.values())
    assert log.summary["rldistill/verdict"] == job.keeper.summary["verdict"]
    assert log.exit_code == 0


def test_a_run_that_is_stopped_closes_its_log(logs: list[Log], tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run")
    progress = logged_to_wandb(distilling(job), job, "mine")
    next(progress)
    progress.close()
    assert logs[0].exit_code == 1
    assert logs[0].summary == {}


def test_without_wandb_the_pip_line_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    job = quick_job(tmp_path / "run")
    with pytest.raises(MissingExtraError, match=r"rldistill\[wandb\]"):
        next(logged_to_wandb(distilling(job), job, "mine"))


def test_what_wandb_refuses_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def init(**given: Any) -> None:
        raise ValueError("not logged in")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    job = quick_job(tmp_path / "run")
    with pytest.raises(RldistillError, match="not logged in; log in with `wandb login`"):
        next(logged_to_wandb(distilling(job), job, "mine"))
