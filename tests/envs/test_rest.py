"""Environments that rest are left alone, and nothing else changes."""

import numpy as np
import pytest

from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec


@pytest.mark.parametrize("task_id", ["CartPole-v1", "LunarLander-v3"])
@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_the_others_go_on_as_if_nothing_rested(backend: str, task_id: str) -> None:
    """Observations, rewards and ends of the awake are those of a run in which none rests."""
    if backend == "envpool":
        pytest.importorskip("envpool")
    task = TaskSpec(id=task_id, backend=backend)
    resting = np.array([True, False, True, False])
    generator = np.random.default_rng(0)
    with make(task, 4, 5) as some, make(task, 4, 5) as every:
        some.reset()
        every.reset()
        for t in range(60):
            if t == 3:
                some.rest(resting)
            actions = generator.integers(0, 2, 4)
            mine, whole = some.step(actions), every.step(actions)
            if t < 3:
                np.testing.assert_array_equal(mine.observations, whole.observations)
                continue
            for ours, theirs in zip(mine, whole, strict=True):
                np.testing.assert_array_equal(ours[~resting], theirs[~resting])
            assert not mine.valid[resting].any()
            assert not mine.rewards[resting].any()
            assert not (mine.terminated | mine.truncated)[resting].any()


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_a_resting_environment_is_not_stepped_and_wakes_at_the_reset(backend: str) -> None:
    """Its observation stands still; after a reset with a seed it starts as a new one would."""
    if backend == "envpool":
        pytest.importorskip("envpool")
    task = TaskSpec(id="CartPole-v1", backend=backend)
    actions = np.zeros(3, np.int64)
    with make(task, 3, 1) as env, make(task, 3, 7) as new:
        env.reset()
        seen = env.step(actions).observations
        env.rest(np.array([True, True, False]))
        for _ in range(3):
            np.testing.assert_array_equal(env.step(actions).observations[:2], seen[:2])
        env.rest(np.array([True, True, True]))
        assert not env.step(actions).valid.any()
        np.testing.assert_array_equal(env.reset(7), new.reset())
        for _ in range(20):
            mine, fresh = env.step(actions), new.step(actions)
            np.testing.assert_array_equal(mine.observations, fresh.observations)
            np.testing.assert_array_equal(mine.valid, fresh.valid)
