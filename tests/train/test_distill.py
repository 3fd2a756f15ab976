"""The one loop: what a run does, what it leaves behind, and that equal seeds give equal runs."""

import errno
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from small_runs import FOLLOW, QUICK, Follow, follower, quick_job, quick_settings

from rldistill import distill, load_policy, make_student
from rldistill.errors import EnvironmentFailure, RunFolderError
from rldistill.evaluation.prove import Prover
from rldistill.methods.catalogue import get_method
from rldistill.runs import RunFolder
from rldistill.students.mlp import Mlp
from rldistill.students.store import load_student
from rldistill.train import prepare as prepare_module
from rldistill.train.distill import distilling
from rldistill.train.job import Job

SECONDS = {"train_seconds", "total_seconds", "steps_per_second", "run"}


def run(job: Job) -> list[Any]:
    return list(distilling(job))


def without_seconds(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k not in SECONDS} for record in records]


def test_a_run_is_proved_measured_and_left_in_its_folder(tmp_path: Path) -> None:
    """The public function, end to end."""
    done = distill(follower(), Follow, "mlp:8", out=tmp_path / "run", settings=quick_settings())
    assert done.verdict == "holds"
    assert done.summary["student_return"] > 7.6
    assert 1536 <= done.summary["env_steps"] < 1536 + 16
    assert done.path == tmp_path / "run"
    for name in ("recipe.toml", "metrics.jsonl", "student.safetensors", "student.json",
                 "verdict.json", "events", "checkpoint"):  # fmt: skip
        assert (done.path / name).exists(), name
    action, _ = load_policy(done.path).predict(np.array([0.5, 0.5], np.float32))
    assert action == 1
    assert isinstance(done.student.module, torch.nn.Module)


def test_it_stops_as_soon_as_a_student_is_shown_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "FIRST_LOOK", 1024)
    job = quick_job(tmp_path / "run", steps=100_000, until=0.9)
    records = run(job)
    phases = [record.phase for record in records]
    assert phases.index("screening") < phases.index("confirming")
    assert phases[-1] == "done"
    assert job.holds
    assert job.state.env_steps < 20_000


def test_without_until_it_takes_all_steps_and_is_judged_once(tmp_path: Path) -> None:
    """No look before the end: --steps alone is a fixed amount of work."""
    records = run(quick_job(tmp_path / "run", steps=1000))
    phases = [record.phase for record in records if record.phase != "learning"]
    assert set(phases) == {"confirming", "done"}
    assert 1000 <= records[-1].env_steps < 1000 + 16


def test_same_seed_same_weights_and_same_metrics(tmp_path: Path) -> None:
    """Everything but the seconds; another seed gives another student."""
    folders = [tmp_path / name for name in ("one", "two", "other")]
    for folder, seed in zip(folders, (3, 3, 4), strict=True):
        run(quick_job(folder, seed=seed))
    one, two, other = ((f / "student.safetensors").read_bytes() for f in folders)
    assert one == two
    assert one != other
    first, second = (without_seconds(RunFolder.open(f).read_metrics()) for f in folders[:2])
    assert first == second


def test_the_teacher_never_changes(tmp_path: Path) -> None:
    teacher = follower()
    before = {name: x.clone() for name, x in teacher.module.state_dict().items()}
    run(quick_job(tmp_path / "run", teacher=teacher))
    after = teacher.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_saved_student_is_the_one_that_was_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate is frozen: same weights at each look, and in student.safetensors."""
    monkeypatch.setattr(prepare_module, "FIRST_LOOK", 512)
    seen: dict[int, list[dict[str, torch.Tensor]]] = {}
    play_three = Prover.play_three

    def watched(self: Prover, student: Any, keep: bool = False) -> Any:
        weights = {name: x.clone() for name, x in student.module.folded().state_dict().items()}
        seen.setdefault(self.trial.candidate, []).append(weights)
        return play_three(self, student, keep)

    monkeypatch.setattr(Prover, "play_three", watched)
    job = quick_job(tmp_path / "run", steps=100_000, until=0.95)
    run(job)
    assert job.holds
    saved = load_student(tmp_path / "run").module.state_dict()
    last = seen[max(seen)]
    assert len(last) > 2
    for weights in last:
        assert weights.keys() == saved.keys()
        assert all(torch.equal(weights[name], saved[name]) for name in saved)


def test_a_candidate_that_is_given_up_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Screening is made to nominate at once: the untrained student falls, a later one holds."""
    monkeypatch.setattr(prepare_module, "FIRST_LOOK", 1)
    screen = Prover.screen

    def hopeful(self: Prover, student: Any) -> Any:
        return replace(screen(self, student), decision="nominate")

    monkeypatch.setattr(Prover, "screen", hopeful)
    row = replace(QUICK, round_steps=64)
    job = quick_job(tmp_path / "run", method=row, until=0.95, steps=50_000)
    records = run(job)
    decisions = [record.decision for record in records if record.phase == "confirming"]
    assert "give-up" in decisions
    assert job.holds
    assert job.prover is not None
    assert job.prover.trial.candidate > 1


def test_looks_grow_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 40 % of the steps, so that testing never dominates a long run."""
    monkeypatch.setattr(prepare_module, "FIRST_LOOK", 512)
    job = quick_job(tmp_path / "run", steps=6000, until=1.0)
    looks = [r.env_steps for r in run(job) if r.phase == "screening"]
    assert 512 <= looks[0] < 1024
    assert all(later >= 1.4 * earlier for earlier, later in pairwise(looks))


def test_a_method_without_memory_learns_from_the_latest_round_alone(tmp_path: Path) -> None:
    row = replace(get_method("on-policy-distill"), round_steps=256)
    job = quick_job(tmp_path / "run", method=row, steps=1024)
    for record in distilling(job):
        if record.phase == "learning" and record.round_index:
            assert len(job.memory) <= 256
    assert job.keeper.summary is not None


@pytest.mark.parametrize("name", ["teacher-distill", "rusu-kl", "rusu-nll", "rusu-mse",
                                  "dagger-geometric", "dagger-linear"])  # fmt: skip
def test_every_row_runs(tmp_path: Path, name: str) -> None:
    done = distill(
        follower(), FOLLOW, "mlp:4", out=tmp_path / "run",
        settings=quick_settings(method=name, steps=2048, evaluation_envs=64),
    )  # fmt: skip
    assert done.summary["env_steps"] >= 2048


def test_an_environment_that_raises_leaves_a_run_to_resume(tmp_path: Path) -> None:
    """The error names the environment; what was learnt before it is kept."""
    job = quick_job(tmp_path / "run", task=lambda: Follow(raise_at=150), steps=100_000)
    with pytest.raises(
        EnvironmentFailure, match=r"number 1 of 16 raised in step \d+: .*the pole is gone"
    ):
        run(job)
    assert load_student(tmp_path / "run").info.name == "mlp:8"
    steps = job.state.env_steps + 512
    again = quick_job(tmp_path / "run", resume=True, task=Follow, steps=steps)
    run(again)
    assert again.state.env_steps >= steps


def test_an_error_while_saving_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends the run with the words to act on, and the last save stays whole."""
    job = quick_job(tmp_path / "run", save_seconds=0.0, steps=4096)
    progress = distilling(job)
    for record in progress:
        if record.round_index == 2:
            break

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(RunFolderError, match=r"no space left to write .* free some"):
            list(progress)
    again = quick_job(tmp_path / "run", resume=True, steps=4096)
    run(again)
    assert again.state.env_steps >= 4096


def test_live_vector_environments_are_shared_with_testing(tmp_path: Path) -> None:
    """One live object both trains and tests: rounds begin anew, and it stays open."""
    live = SyncVectorEnv([Follow] * 32)
    job = quick_job(tmp_path / "run", task=live, num_envs=None, until=0.9, steps=2000)
    run(job)
    assert not live.closed
    assert job.keeper.summary is not None
    assert job.keeper.summary["verdict"] == "holds"


def test_threads_are_given_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(quick_job(tmp_path / "run", steps=512))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_student_made_before_is_trained(tmp_path: Path) -> None:
    """A NetworkPolicy of make_student may be given in place of its spec."""
    student = make_student("mlp:6,relu", spaces.Box(-1, 1, (2,)), spaces.Discrete(2))
    done = distill(follower(), FOLLOW, student, out=tmp_path / "run", settings=quick_settings())
    assert isinstance(done.student.module, Mlp)
    assert done.student.info.name == student.info.name


def test_a_plain_gymnasium_id_is_a_task(tmp_path: Path) -> None:
    assert "Follow-v0" in gymnasium.registry
    settings = quick_settings(steps=512)
    done = distill(follower(), "Follow-v0", "mlp:4", out=tmp_path / "run", settings=settings)
    assert done.summary["env_steps"] >= 512
