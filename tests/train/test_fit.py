"""Trees are grown by the one loop: kept, chosen by playing, judged on other episodes, resumed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import FOLLOW, Track, follower, quick_job, tracker

from rldistill import load_policy
from rldistill.core import NetworkPolicy
from rldistill.data.replay import Replay
from rldistill.envs.spec import TaskSpec
from rldistill.errors import NotFiniteError
from rldistill.evaluation.evidence_file import load_evidence
from rldistill.methods.catalogue import get_method
from rldistill.methods.learner_settings import Growing
from rldistill.methods.terms import align
from rldistill.students.build import make_student
from rldistill.students.tree_module import TreeModule
from rldistill.train.distill import distilling
from rldistill.train.fit import GrowingLearner

VIPER = replace(get_method("viper"), round_steps=256, learner=Growing(weighted=True, kept=4))


def job_of(out: Path, student: str = "tree:16", **changes: Any) -> Any:
    return quick_job(out, student=student, **({"method": VIPER, "steps": 1024} | changes))


def tree_of(policy: NetworkPolicy) -> Any:
    assert isinstance(policy.module, TreeModule)
    return policy.module.tree


def learner(rows: int = 100_000, kept: int = 3) -> GrowingLearner:
    space = FOLLOW.factory.observation_space
    student = make_student("tree:8", space, FOLLOW.factory.action_space)
    settings = Growing(weighted=True, rows=rows, kept=kept)
    alignment = align(VIPER, student.info.head, student.info.head, None)
    return GrowingLearner(student, settings, alignment, torch.Generator().manual_seed(0))


def add(memory: Replay, count: int, seed: int) -> None:
    x = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    memory.add(x, follower().raw(x), torch.ones(count, dtype=torch.bool))


@pytest.mark.parametrize("student", ["tree:24", "linear-tree:2", "rules:24"])
def test_a_student_learns_and_loads_from_its_folder(tmp_path: Path, student: str) -> None:
    """It is far better than chance, and acts after loading as before."""
    job = job_of(tmp_path / "run", student, steps=4096)
    *_, last = distilling(job)
    assert last.fraction is not None
    assert last.fraction > 0.5
    loaded = load_policy(tmp_path / "run")
    assert loaded.info.name == student
    seen = np.random.default_rng(0).uniform(-1, 1, (200, 2)).astype(np.float32)
    assert (loaded.predict(seen)[0] == job.learner.tested.predict(seen)[0]).all()
    card = json.loads((tmp_path / "run" / "student.json").read_text())
    evidence = load_evidence(tmp_path / "run" / "evidence.safetensors")
    assert evidence is not None
    assert evidence.student_cost.parameters == card["parameters"] == loaded.info.acting_parameters
    assert card["leaves"] == tree_of(loaded).num_leaves <= 25
    assert (tmp_path / "run" / "pruning.json").exists() == ("linear" not in student)


def test_continuous_actions(tmp_path: Path) -> None:
    job = job_of(
        tmp_path / "run",
        "tree:32",
        teacher=tracker(),
        task=TaskSpec(factory=Track, id="Track-v0"),
        steps=2048,
    )
    *_, last = distilling(job)
    assert last.fraction is not None
    assert last.fraction > 0.9


def test_the_best_of_the_rounds_is_chosen_and_judged_on_other_seeds(tmp_path: Path) -> None:
    """Four candidates need two rounds of play; the verdict's rounds come after them."""
    job = job_of(tmp_path / "run")
    records = list(distilling(job))
    chosen = [i for i, r in enumerate(records) if r.message.startswith("chosen")]
    assert len(chosen) == 1
    assert "best of 4 students" in records[chosen[0]].message
    confirming = [i for i, r in enumerate(records) if r.phase == "confirming"]
    assert confirming
    assert min(confirming) > chosen[0]
    assert job.learner.chosen


def test_a_run_that_is_cut_off_goes_on_with_its_trees(tmp_path: Path) -> None:
    job = job_of(tmp_path / "run", save_seconds=0.0)
    progress = distilling(job)
    for record in progress:
        if record.round_index == 3:
            break
    progress.close()
    kept = [k.threshold.tolist() for k in job.learner.kept]
    again = job_of(tmp_path / "run", resume=True)
    records = distilling(again)
    next(records)
    assert len(kept) == 2
    assert [k.threshold.tolist() for k in again.learner.kept] == kept
    assert (
        tree_of(again.learner.student).threshold == tree_of(job.learner.student).threshold
    ).all()
    assert list(records)[-1].phase == "done"


def test_the_same_seed_grows_the_same_tree(tmp_path: Path) -> None:
    trees = []
    for name in ("a", "b"):
        job = job_of(tmp_path / name)
        list(distilling(job))
        trees.append(tree_of(job.learner.tested))
    assert (trees[0].threshold == trees[1].threshold).all()
    assert (trees[0].values == trees[1].values).all()


def test_the_trees_of_the_latest_rounds_are_kept() -> None:
    """However much they err: that says little of what they return."""
    grower, memory = learner(kept=3), Replay(9000, (2,), 2)
    grown = []
    for seed in range(5):
        add(memory, 40, seed)
        grower.learn(memory, 1)
        grown.append(tree_of(grower.student))
    assert [tree_of(one) for one in grower.candidates()] == [grown[4], grown[2], grown[3]]
    grower.choose(grower.candidates()[1])
    assert [tree_of(one) for one in grower.candidates()] == [grown[2]]


@torch.no_grad()
def test_of_too_many_states_those_are_drawn_that_count() -> None:
    """States with a weight of 0 are never drawn, and a draw counts each state by how often."""
    grower, memory = learner(rows=500), Replay(9000, (2,), 2)
    add(memory, 4000, 0)
    x, raw = (part.numpy() for part in memory.rows())
    from rldistill.students.tree_targets import targets_of

    targets = targets_of(follower().info.head, raw, weighted=True)
    targets.weights[::2] = 0.0
    drawn, some = grower._drawn(x, targets)
    assert len(drawn) == len(some) <= 500
    assert some.weights.mean() == pytest.approx(1.0)
    allowed = {tuple(row) for row in x[1::2]}
    assert {tuple(row) for row in drawn} <= allowed


def test_the_state_survives_a_checkpoint() -> None:
    grower, memory = learner(), Replay(9000, (2,), 2)
    for seed in range(3):
        add(memory, 50, seed)
        grower.learn(memory, 1)
    other = learner()
    other.load_state_dict(grower.state_dict())
    assert len(other.kept) == 2
    for ours, theirs in zip(other.kept, grower.kept, strict=True):
        assert (ours.values == theirs.values).all()
    assert (tree_of(other.student).values == tree_of(grower.student).values).all()
    assert (other.updates, other.chosen) == (3, False)
    add(memory, 50, 9)
    grower.learn(memory, 1)
    other.learn(memory, 1)
    assert (tree_of(other.student).values == tree_of(grower.student).values).all()


def test_a_teacher_with_one_action_is_warned_of(tmp_path: Path) -> None:
    messages = [
        record.message
        for record in distilling(job_of(tmp_path / "run", teacher=follower(threshold=3.0)))
    ]
    assert any("took action 0 in all" in message for message in messages)
    good = [r.message for r in distilling(job_of(tmp_path / "good"))]
    assert not any("took action" in message for message in good)


def test_an_observation_that_is_infinite_is_named(tmp_path: Path) -> None:
    grower, memory = learner(), Replay(100, (2,), 2)
    x = torch.tensor([[0.5, 0.0], [torch.inf, 0.0]])
    memory.add(x, torch.eye(2), torch.ones(2, dtype=torch.bool))
    with pytest.raises(NotFiniteError, match="feature 0 of 1 observations"):
        grower.learn(memory, 1)
