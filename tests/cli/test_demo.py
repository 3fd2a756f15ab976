"""rldistill demo: the main job on a shipped teacher, here on the one that is quickest to distil."""

from pathlib import Path

import pytest
from commands import Command, check_types
from small_runs import DAGGER, SHIPPED

from rldistill.cli import demo
from rldistill.methods.catalogue import DEFAULT, ROWS

SHIPPED_TEACHER = demo.TEACHER


@pytest.fixture(autouse=True)
def on_cartpole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, DEFAULT, DAGGER)
    monkeypatch.setattr(demo, "TEACHER", "cartpole-dqn.zip")
    monkeypatch.setattr(demo, "TASK", "CartPole-v1")


def test_it_needs_nothing(rldistill: Command) -> None:
    """It says which command it stands for, and where the run is."""
    result = rldistill("demo", "--check")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("rldistill distill ")
    assert "--task CartPole-v1 --student mlp:16,16 --until 0.95\n" in result.out
    assert "verdict    holds: " in result.out
    (run,) = Path("runs").iterdir()
    assert f"run        {run.absolute()}\n" in result.out


def test_for_machines(rldistill: Command) -> None:
    result = rldistill("demo", "--json", "--seed", 1, "--out", "mine")
    assert (result.code, result.err) == (0, "")
    check_types(result.records[-1], {"episodes_to_settle"})
    assert result.records[-1]["run"] == str(Path("mine").absolute())


def test_the_teacher_it_names_is_shipped() -> None:
    assert (SHIPPED / SHIPPED_TEACHER).is_file()
