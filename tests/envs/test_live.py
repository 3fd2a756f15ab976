"""Vector environments that the user made."""

import gymnasium
import numpy as np
import pytest
import toy
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import EnvironmentFailure, SettingError, TaskError


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_another_autoreset_is_refused(mode: AutoresetMode) -> None:
    """SAME_STEP hides the last observation; DISABLED never starts over."""
    with pytest.raises(TaskError, match=r"NEXT_STEP .*this one has AutoresetMode"):
        make(SyncVectorEnv([toy.Counting], autoreset_mode=mode), 1, 0)


def test_another_number_of_environments_is_refused() -> None:
    with pytest.raises(SettingError, match="has 2 environments; num_envs 3 has no effect"):
        make(SyncVectorEnv([toy.Counting] * 2), 3, 0)


def test_it_stays_open() -> None:
    """Who made it may go on with it."""
    live = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
    with make(live, 2, 0) as envs:
        envs.reset()
    assert not live.closed
    live.reset()


def test_reused_arrays_are_copied() -> None:
    """copy=False writes each step's observations into one array."""
    with make(SyncVectorEnv([toy.Counting] * 2, copy=False), 2, 0) as envs:
        first = envs.reset()
        second = envs.step(np.array([0, 1])).observations
        envs.step(np.array([0, 1]))
        assert first[:, 1].tolist() == [0, 0]
        assert second[:, 1].tolist() == [1, 1]


def test_an_episode_that_never_ends_is_a_failure() -> None:
    """It cannot be cut from outside: the message says what to wrap it in."""
    spec = TaskSpec(vector_env=SyncVectorEnv([toy.Counting, toy.NeverEnding]), max_episode_steps=20)
    with make(spec, 2, 0) as envs:
        envs.reset()
        for _ in range(20):
            envs.step(np.array([0, 0]))
        with pytest.raises(
            EnvironmentFailure, match=r"environment number 2 of \d+ has not ended .*TimeLimit"
        ):
            envs.step(np.array([0, 0]))


def test_episodes_of_just_the_limit_pass() -> None:
    """The phantom step does not count."""
    spec = TaskSpec(vector_env=SyncVectorEnv([toy.Counting]), max_episode_steps=5)
    with make(spec, 1, 0) as envs:
        envs.reset()
        assert sum(int(envs.step(np.array([0])).valid[0]) for _ in range(60)) == 50


def test_the_limit_counts_from_the_start_of_each_episode() -> None:
    """Five steps, a phantom, twenty steps that are allowed; the next one is not."""
    spec = TaskSpec(vector_env=SyncVectorEnv([toy.EndsOnce]), max_episode_steps=20)
    with make(spec, 1, 0) as envs:
        envs.reset()
        for _ in range(5 + 1 + 20):
            envs.step(np.array([0]))
        with pytest.raises(EnvironmentFailure, match="has not ended"):
            envs.step(np.array([0]))


def test_an_environment_that_raises_is_reported() -> None:
    live = SyncVectorEnv([lambda: toy.Raises(at=9)] * 2)
    with make(TaskSpec(id="Mine", vector_env=live), 2, 0) as envs:
        envs.reset()
        for _ in range(8):
            envs.step(np.array([0, 0]))
        with pytest.raises(
            EnvironmentFailure, match="Mine: one of 2 environments raised in step 9"
        ):
            envs.step(np.array([0, 0]))


def test_envpools_own_object_may_be_live() -> None:
    """It ignores the seed of a reset, so it claims no equal starts."""
    envpool = pytest.importorskip("envpool")
    live = envpool.make_gymnasium("CartPole-v1", num_envs=2, seed=0)
    with make(live, 2, 0) as envs:
        assert not envs.info.equal_starts
        with pytest.warns(UserWarning, match="pass seed to envpool.make"):
            assert envs.reset().shape == (2, 4)
