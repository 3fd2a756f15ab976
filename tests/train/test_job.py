"""Job: rounds, memory, agreement, and what makes a run this run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import QUICK, follower, quick_job, tracker

from rldistill.core import NetworkPolicy, QValueHead
from rldistill.data.frames import FrameReplay
from rldistill.train.sources import Labelled


def labelled(teacher: NetworkPolicy, valid: torch.Tensor, seed: int = 0) -> Labelled:
    generator = torch.Generator().manual_seed(seed)
    seen = torch.rand((len(valid), 2), generator=generator) * 2 - 1
    return Labelled(seen, teacher.raw(seen), valid, int(valid.sum()))


def test_the_last_round_takes_what_is_left(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run", steps=700)
    assert job.round_steps() == 512
    job.state.env_steps = 512
    assert job.round_steps() == 188


def test_phantom_steps_are_not_learnt_from(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run")
    valid = torch.arange(100) % 4 > 0
    batch = labelled(follower(), valid)
    batch.observations[~valid] = torch.inf  # would be refused, and would ruin the normaliser
    job.begin(batch)
    job.remember(batch)
    assert len(job.memory) == 75
    assert job.agreement_on(batch) is not None


def test_a_row_without_memory_forgets(tmp_path: Path) -> None:
    valid = torch.ones(100, dtype=torch.bool)
    for memory, kept in ((0, 100), (1000, 200)):
        job = quick_job(tmp_path / f"run{memory}", method=replace(QUICK, memory=memory))
        job.remember(labelled(follower(), valid))
        job.remember(labelled(follower(), valid, seed=1))
        assert len(job.memory) == kept


def test_agreement_is_the_share_of_equal_choices(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run")
    batch = labelled(follower(), torch.ones(1000, dtype=torch.bool))
    chosen = job.learner.tested(batch.observations).mode()
    assert job.agreement_on(batch) == pytest.approx(
        float((chosen == (batch.observations.sum(1) > 0)).double().mean())
    )
    nothing = labelled(follower(), torch.zeros(5, dtype=torch.bool))
    assert job.agreement_on(nothing) is None


def test_continuous_actions_have_no_agreement_while_learning(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run", teacher=tracker(), task="Track-v0")
    assert job.agreement_on(labelled(tracker(), torch.ones(10, dtype=torch.bool))) is None


def test_the_temperature_of_a_q_network_follows_its_action_gap(tmp_path: Path) -> None:
    """Max minus mean over two actions is half the difference of the two Q-values."""
    policy = follower()
    teacher = NetworkPolicy(policy.module, replace(policy.info, head=QValueHead(2)))
    job = quick_job(tmp_path / "run", teacher=teacher)
    batch = labelled(teacher, torch.ones(500, dtype=torch.bool))
    job.begin(batch)
    gap = float((batch.teacher_raw.diff(dim=1).abs() / 2).mean())
    assert job.state.action_gap == pytest.approx(gap)
    assert job.learner.alignment.teacher_temperature == pytest.approx(0.1 * gap)


def test_what_makes_it_this_run(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run", seed=3, until=0.9)
    assert job.identity() == {
        "task": job.task_json(), "teacher": "sha of by hand", "student": "mlp:8",
        "method": "dagger", "seed": 3, "floor": 0.9, "teacher_act": "mode", "student_act": "mode",
        "evaluation_envs": 64, "fit_critic": None,
    }  # fmt: skip
    assert not job.holds


def test_stacked_frames_are_collected_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory holds the whole round, of which only the last piece is handed on."""
    job = quick_job(tmp_path / "run")
    steps: list[int] = []

    def next_round(source: object, num_steps: int, round_index: int) -> Labelled:
        steps.append(num_steps)
        stacks = torch.full((num_steps, 4, 2, 1), len(steps), dtype=torch.uint8)
        valid = torch.ones(num_steps, dtype=torch.bool)
        return Labelled(stacks, torch.zeros(num_steps, 2), valid, num_steps)

    monkeypatch.setattr(type(job.source), "next_round", next_round)
    monkeypatch.setattr("rldistill.train.job.PIECE_BYTES", 2 * 200)
    job.memory = FrameReplay(1000, (4, 2, 1), 2)
    batch = job.collect()
    assert steps == [200, 200, 112]
    assert (batch.num_steps, len(batch.observations), len(job.memory)) == (512, 112, 512)
