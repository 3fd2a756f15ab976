"""A run whose weights become NaN keeps what was saved before."""

from pathlib import Path

import pytest
import torch
from small_runs import quick_job

from rldistill.errors import NotFiniteError
from rldistill.students.store import load_student
from rldistill.train.distill import distilling


def test_nan_weights_never_replace_what_was_saved(tmp_path: Path) -> None:
    """The error is told, and the student and the checkpoint of before are still there, whole."""
    job = quick_job(tmp_path / "run")
    run = distilling(job)
    while job.state.round_index < 2:
        next(run)
    job.keeper.save(job)
    saved = (tmp_path / "run" / "checkpoint" / "checkpoint.safetensors").read_bytes()
    with torch.no_grad():
        next(job.learner.student.module.parameters()).fill_(torch.nan)
    with pytest.raises(NotFiniteError):
        for _ in run:
            pass
    assert (tmp_path / "run" / "checkpoint" / "checkpoint.safetensors").read_bytes() == saved
    load_student(tmp_path / "run")
