"""Rows with credit learn: better than before, by a permutation test."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from deep_rows import DEEP, deep, normal_tracker, with_value
from small_runs import FOLLOW, Follow, Track, follower, quick_job

from rldistill.core import NetworkPolicy
from rldistill.methods.method import Method
from rldistill.methods.schedules import Linear
from rldistill.train.distill import distilling


def returns_of(
    policy: NetworkPolicy, env: type[gymnasium.Env[Any, Any]], episodes: int
) -> np.ndarray:
    """Of single episodes, by mode."""
    found = []
    for seed in range(episodes):
        one, total, over = env(), 0.0, False
        seen, _ = one.reset(seed=10_000 + seed)
        while not over:
            action, _ = policy.predict(seen)
            seen, reward, over, cut, _ = one.step(action)
            total, over = total + float(reward), over or cut
        found.append(total)
    return np.array(found)


def p_of_gain(before: np.ndarray, after: np.ndarray) -> float:
    """Of no improvement, by 9,999 random flips of the paired differences."""
    gain = after - before
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (9_999, len(gain)))
    return float((1 + ((signs * gain).mean(-1) >= gain.mean()).sum()) / 10_000)


def learnt(out: Path, method: Method, teacher: NetworkPolicy, task: Any, steps: int) -> Any:
    job = quick_job(out, teacher=teacher, method=method, task=task, steps=steps)
    list(distilling(job))
    return job.learner.tested


def untrained(out: Path, teacher: NetworkPolicy, task: Any) -> NetworkPolicy:
    return quick_job(out, teacher=teacher, task=task, method="on-policy-distill").learner.tested


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in DEEP if not n.startswith("kickstarting-")])
def test_every_row_learns_from_a_good_teacher(tmp_path: Path, name: str) -> None:
    """Better than its untrained student, p < 0.001, on 60 episodes of fresh seeds."""
    teacher = with_value(follower())
    before = returns_of(untrained(tmp_path / "before", teacher, FOLLOW), Follow, 60)
    student = learnt(tmp_path / "after", deep(name), teacher, FOLLOW, 16_384)
    assert p_of_gain(before, returns_of(student, Follow, 60)) < 0.001


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline", "value-gated+R", "kickstarting", "td-v0",
                                  "teacher-v-reward"])  # fmt: skip
def test_rows_that_count_the_reward_learn_from_a_useless_teacher(tmp_path: Path, name: str) -> None:
    """It always chooses 0 and says its value is -9; kickstarting leaves it after 20 rounds."""
    teacher = follower(threshold=9.0)

    class Low(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x),), -9.0)

    teacher = NetworkPolicy(teacher.module, replace(teacher.info, value_units="raw"), Low())
    method = deep(name)
    if name == "kickstarting":
        method = replace(method, loss_weight=Linear(1.0, 0.0, 20))
    before = returns_of(teacher, Follow, 60)
    student = learnt(tmp_path / "after", method, teacher, FOLLOW, 32_768)
    assert p_of_gain(before, returns_of(student, Follow, 60)) < 0.001


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["n-distill", "exp-entropy-regularised+R", "kl-regularised", "ppd"]
)
def test_continuous_rows_learn(tmp_path: Path, name: str) -> None:
    teacher = normal_tracker()
    before = returns_of(untrained(tmp_path / "before", teacher, "Track-v0"), Track, 60)
    student = learnt(tmp_path / "after", deep(name), teacher, "Track-v0", 32_768)
    assert p_of_gain(before, returns_of(student, Track, 60)) < 0.001
