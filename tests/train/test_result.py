"""Run: what distill() returns."""

from pathlib import Path

import pytest
from small_runs import quick_job

from rldistill.errors import RunFolderError
from rldistill.runs import read_json
from rldistill.train.distill import distilling
from rldistill.train.result import Run


def test_a_run_is_its_folder_its_summary_and_its_student(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run", steps=512)
    list(distilling(job))
    run = Run.finished(job)
    assert run.path == tmp_path / "run"
    assert run.summary == read_json(tmp_path / "run" / "verdict.json")
    assert run.verdict == run.summary["verdict"]
    assert run.student.info.name == "mlp:8"


def test_a_run_that_has_not_ended_is_none(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="has not ended"):
        Run.finished(quick_job(tmp_path / "run"))
