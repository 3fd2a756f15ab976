"""The end of a run: its evidence is kept, and no failure to keep it costs the run."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import quick_job

from rldistill.errors import RunFolderError
from rldistill.evaluation.evidence_file import load_evidence
from rldistill.train import looks
from rldistill.train.distill import distilling


def test_a_finished_run_keeps_the_episodes_of_its_verdict(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run")
    list(distilling(job))
    found = load_evidence(job.keeper.folder.evidence)
    assert found is not None
    assert job.keeper.summary is not None
    means = [job.keeper.summary[f"{who}_return"] for who in ("student", "teacher", "random")]
    assert found.episodes.returns.mean(1).tolist() == pytest.approx(means)
    assert (found.task, found.backend) == ("Follow-v0", "gymnasium")
    assert found.student_cost.parameters == job.keeper.summary["student_parameters"]


def test_keeping_it_changes_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same student, verdict and agreement as without."""
    job = quick_job(tmp_path / "with")
    list(distilling(job))
    monkeypatch.setattr(looks, "keep_evidence", lambda job, measured: iter(()))
    bare = quick_job(tmp_path / "without")
    list(distilling(bare))
    assert not bare.keeper.folder.evidence.exists()
    weights = [j.keeper.folder.student_safetensors.read_bytes() for j in (job, bare)]
    assert weights[0] == weights[1]
    same = ("verdict", "fraction", "agreement_detail", "episodes")
    assert all(job.keeper.summary[key] == bare.keeper.summary[key] for key in same)


@pytest.mark.parametrize("error", [RunFolderError("no space left"), MemoryError("too much")])
def test_a_failure_is_told_and_the_run_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(looks, "save_evidence", fail)
    job = quick_job(tmp_path / "run")
    records = list(distilling(job))
    (said,) = [r.message for r in records if "no evidence" in r.message]
    assert str(error) in said
    assert records[-1].phase == "done"
    assert job.keeper.folder.verdict_json.is_file()
    assert not job.keeper.folder.evidence.exists()


def test_evidence_of_before_goes_when_training_goes_on(tmp_path: Path) -> None:
    """As the verdict does: it is about another student."""
    job = quick_job(tmp_path / "run")
    list(distilling(job))
    before = job.keeper.folder.evidence.read_bytes()
    again = quick_job(tmp_path / "run", resume=True, steps=3072)
    progress = distilling(again)
    for record in progress:
        if record.phase == "learning" and record.round_index > 4:
            break
    progress.close()
    assert not again.keeper.folder.evidence.exists()
    list(distilling(quick_job(tmp_path / "run", resume=True, steps=3072)))
    after = load_evidence(again.keeper.folder.evidence)
    assert after is not None
    assert again.keeper.folder.evidence.read_bytes() != before
    first = np.frombuffer(before, np.uint8)
    assert first.size < 2_000_000


def test_force_takes_it_away(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run")
    list(distilling(job))
    quick_job(tmp_path / "run", force=True)
    assert not (tmp_path / "run" / "evidence.safetensors").exists()


def test_records_count_the_states_that_were_learnt_from(tmp_path: Path) -> None:
    """Updates times their batch of 64, also after a run was resumed."""
    job = quick_job(tmp_path / "run")
    records = list(distilling(job))
    assert records[-1].samples == 64 * records[-1].updates > 0
    again = quick_job(tmp_path / "run", resume=True, steps=3072)
    later = list(distilling(again))
    assert later[-1].samples == 64 * later[-1].updates > records[-1].samples
