"""Models of stable-baselines3 as students in whole runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import FOLLOW, Follow, Track, follower, quick_job, quick_settings, tracker

from rldistill import distill, load_policy, resume
from rldistill.core import GaussianHead, NetworkPolicy
from rldistill.errors import SettingError, TaskError
from rldistill.train.distill import distilling

sb3 = pytest.importorskip("stable_baselines3")
SMALL = {"device": "cpu", "seed": 0, "policy_kwargs": {"net_arch": [8]}}
STATES = np.random.default_rng(0).uniform(-1, 1, (300, 2)).astype(np.float32)


def right(model: Any) -> float:
    """The share of states in which a model's own predict is right."""
    action, _ = model.predict(STATES, deterministic=True)
    return float((action == (STATES.sum(-1) > 0)).mean())


@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "DQN"])
def test_the_models_own_predict_is_the_student(tmp_path: Path, algorithm: str) -> None:
    model = getattr(sb3, algorithm)("MlpPolicy", Follow(), **SMALL)
    settings = quick_settings(steps=6144)
    done = distill(follower(), FOLLOW, model, out=tmp_path / "run", settings=settings)
    assert right(model) > 0.95
    ours, _ = done.student.predict(STATES)
    assert (model.predict(STATES, deterministic=True)[0] == ours).mean() > 0.99
    assert done.student.info.name == algorithm
    fresh = getattr(sb3, algorithm)("MlpPolicy", Follow(), **(SMALL | {"seed": 1}))
    loaded = load_policy(done.path, module=fresh)
    assert torch.equal(
        loaded.raw(torch.from_numpy(STATES)), done.student.raw(torch.from_numpy(STATES))
    )
    assert np.array_equal(
        fresh.predict(STATES, deterministic=True)[0], model.predict(STATES, deterministic=True)[0]
    )


def test_a_deterministic_teacher_into_td3(tmp_path: Path) -> None:
    model = sb3.TD3("MlpPolicy", Track(), **SMALL)
    settings = quick_settings(steps=8192)
    distill(tracker(), Track, model, out=tmp_path / "run", settings=settings)
    action, _ = model.predict(STATES, deterministic=True)
    assert np.abs(action[:, 0] - STATES[:, 0]).mean() < 0.2


def test_a_gaussian_teacher_into_ppo_moves_its_deviation_too(tmp_path: Path) -> None:
    class Noisy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x[:, 0], torch.full_like(x[:, 0], -2.0)], -1)

    info = replace(tracker().info, head=GaussianHead((-1.0,), (1.0,)))
    model = sb3.PPO("MlpPolicy", Track(), **SMALL)
    settings = quick_settings(steps=8192)
    teacher = NetworkPolicy(Noisy(), info)
    distill(teacher, Track, model, out=tmp_path / "run", settings=settings)
    assert float(model.policy.log_std.detach()) < -0.2
    assert np.corrcoef(model.predict(STATES, deterministic=True)[0][:, 0], STATES[:, 0])[0, 1] > 0.9


def test_the_normaliser_of_its_environment_is_part_of_it(tmp_path: Path) -> None:
    """model.predict takes normalised observations; the student takes raw ones."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env = VecNormalize(DummyVecEnv([Follow]))
    env.obs_rms.mean, env.obs_rms.var = np.array([0.5, -0.5]), np.array([0.25, 4.0])
    model = sb3.PPO("MlpPolicy", env, **SMALL)
    job = quick_job(tmp_path / "run", student=model, steps=6144)
    assert any("VecNormalize statistics are part of it" in note for note in job.notes)
    list(distilling(job))
    assert job.holds
    action, _ = model.predict(env.normalize_obs(STATES), deterministic=True)
    assert (action == (STATES.sum(-1) > 0)).mean() > 0.95


def test_families_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = sb3.PPO("MlpPolicy", Track(), **SMALL)
    with pytest.raises(TaskError, match=r"a live PPO.* TD3, DDPG or ARS would fit"):
        quick_job(tmp_path / "run", student=model, teacher=tracker(), task=Track)
    with pytest.raises(SettingError, match="give the stable-baselines3 model itself"):
        quick_job(tmp_path / "run", student=model.policy)
    other = sb3.PPO("MlpPolicy", "CartPole-v1", **SMALL)
    with pytest.raises(TaskError, match=r"observations of shape \(4,\), the task gives \(2,\)"):
        quick_job(tmp_path / "run", student=other)
    assert not (tmp_path / "run").exists()


def test_it_can_be_resumed(tmp_path: Path) -> None:
    settings = quick_settings(steps=512)
    model = sb3.PPO("MlpPolicy", Follow(), **SMALL)
    distill(follower(), FOLLOW, model, out=tmp_path / "run", settings=settings)
    fresh = sb3.PPO("MlpPolicy", Follow(), **(SMALL | {"seed": 1}))
    settings = quick_settings(steps=6144)
    resume(tmp_path / "run", follower(), FOLLOW, fresh, settings=settings)
    assert right(fresh) > 0.95
