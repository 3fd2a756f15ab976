"""A student that follows a model of stable-baselines3 in its own process."""

from pathlib import Path

import pytest
import torch
from small_runs import FOLLOW, Follow, quick_settings
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rldistill.errors import SettingError
from rldistill.integrations.sb3_follow import FollowCallback
from rldistill.runs import RunFolder
from rldistill.train.follow import FollowSettings


def model() -> PPO:
    envs = DummyVecEnv([Follow for _ in range(4)])
    return PPO(
        "MlpPolicy", envs, n_steps=64, batch_size=64, learning_rate=3e-3, seed=0, device="cpu"
    )


def callback(out: Path) -> FollowCallback:
    return FollowCallback(
        FOLLOW,
        "mlp:8",
        settings=quick_settings(steps=512 * 8),
        every=1024,
        out=out,
        following=FollowSettings(episodes=32),
    )


def test_the_student_ends_with_its_teacher(tmp_path: Path) -> None:
    following = callback(tmp_path / "run")
    model().learn(6_000, callback=following)
    looks = RunFolder.open(tmp_path / "run").read_following()
    assert [look["version"] for look in looks][:3] == ["0 steps", "1024 steps", "2048 steps"]
    assert looks[-1]["teacher_return"] > looks[0]["teacher_return"]
    assert following.run is not None
    assert following.run.summary["env_steps"] >= 512 * 8
    assert following.run.summary["fraction"] > 0.7


def test_the_model_learns_as_if_nobody_followed(tmp_path: Path) -> None:
    """Its weights are the same with and without the callback."""
    alone, watched = model(), model()
    alone.learn(1_500)
    watched.learn(1_500, callback=callback(tmp_path / "run"))
    theirs = watched.policy.state_dict()
    assert all(torch.equal(x, theirs[name]) for name, x in alone.policy.state_dict().items())


def test_every_must_be_a_step(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="every must be at least 1"):
        FollowCallback(FOLLOW, settings=quick_settings(), every=0, out=tmp_path)
