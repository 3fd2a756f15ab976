"""Rows with credit on the command line: what is refused, and what is said."""

from pathlib import Path

import pytest
from commands import TASK, Command

from rldistill.methods.catalogue import ROWS


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("n-distil", "Did you mean n-distill"),
        ("kickstart", "Did you mean kickstarting"),
        ("td-teacher-v", "needs the teacher's value in units of raw reward"),
        ("value-gated+R", "needs the teacher's value in units of raw reward"),
        ("rsl-rl", "rsl-rl is defined for continuous actions"),
    ],
)
def test_a_row_that_cannot_be_run_is_one_line(
    rldistill: Command, teacher: Path, tmp_path: Path, method: str, message: str
) -> None:
    """Exit code 1, before a run folder is made."""
    result = rldistill("distill", teacher, *TASK, "--method", method, "--out", tmp_path / "run")
    assert result.code == 1
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_dataset_cannot_credit_actions(rldistill: Command, teacher: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    rldistill("collect", teacher, *TASK, "--steps", 512, "--out", data)
    result = rldistill("distill", teacher, *TASK, "--data", data, "--method", "n-distill")
    assert result.code == 1
    assert "n-distill learns from what the student does" in result.err


def test_a_row_with_credit_runs_to_its_verdict(rldistill: Command, teacher: Path) -> None:
    result = rldistill(
        "distill", teacher, *TASK, "--method", "n-distill+R", "--steps", 4096, "--json"
    )
    assert result.code == 0
    assert result.records[-1]["env_steps"] >= 4096


def test_every_row_is_listed(rldistill: Command) -> None:
    found = rldistill("methods", "--json").records
    assert [record["name"] for record in found] == list(ROWS)
