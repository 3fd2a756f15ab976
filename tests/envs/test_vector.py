"""The normalisation itself, on a simulator that takes liberties."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rldistill.envs.vector import NormalisedVectorEnv, Opened
from rldistill.errors import EnvironmentFailure


class Sloppy:
    """Pays reward 1 and repeats its flags in every step, phantom steps included."""

    num_envs = 2
    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, terminated: bool, truncated: bool) -> None:
        self.flags = (np.array([terminated, False]), np.array([truncated, False]))
        self.closed = False

    def reset(self, seed: int | None) -> Any:
        return np.zeros((2, 1), np.float32)

    def step(self, actions: np.ndarray) -> Any:
        return np.zeros((2, 1), np.float32), np.ones(2, np.float32), *self.flags

    def close(self) -> None:
        self.closed = True


def wrapped(simulator: Sloppy) -> NormalisedVectorEnv:
    return NormalisedVectorEnv(
        Opened(
            simulator=simulator,
            task_id="Sloppy",
            backend="none",
            max_episode_steps=10,
            equal_starts=False,
        ),
        seed=0,
    )


def test_a_phantom_step_has_no_reward_and_ends_nothing() -> None:
    """Whatever the simulator says: ends and phantoms alternate, once per episode."""
    for flags in ((True, False), (False, True), (True, True)):
        envs = wrapped(Sloppy(*flags))
        envs.reset()
        steps = [envs.step(np.zeros(2, np.int64)) for _ in range(4)]
        assert [s.valid.tolist() for s in steps] == [[True, True], [False, True]] * 2
        assert [s.rewards.tolist() for s in steps] == [[1, 1], [0, 1]] * 2
        ended = [(s.terminated | s.truncated).tolist() for s in steps]
        assert ended == [[True, False], [False, False]] * 2
        assert [bool(s.terminated[0]) for s in steps] == [flags[0], False] * 2
        assert [bool(s.truncated[0]) for s in steps] == [not flags[0], False] * 2


def test_leaving_the_context_closes_the_simulator() -> None:
    simulator = Sloppy(False, False)
    with wrapped(simulator):
        assert not simulator.closed
    assert simulator.closed


def test_an_episode_beyond_its_limit_is_an_error() -> None:
    """A simulator that never ends, or whose ends a wrapper hides, is told and not waited for."""
    envs = wrapped(Sloppy(False, False))
    envs.reset()
    for _ in range(11):
        envs.step(np.zeros(2, np.int64))
    with pytest.raises(EnvironmentFailure, match="did not end its episode within its limit of 10"):
        envs.step(np.zeros(2, np.int64))
