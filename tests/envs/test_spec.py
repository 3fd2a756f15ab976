from collections.abc import Callable

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from toy import Counting

from rldistill.envs.spec import (
    DEFAULT_MAX_EPISODE_STEPS,
    TaskInfo,
    TaskSpec,
    describe,
    resolve_limit,
)
from rldistill.errors import SettingError


@pytest.mark.parametrize(
    ("make_spec", "match"),
    [
        (lambda: TaskSpec(id="X", backend="envpol"), "got 'envpol'. Did you mean envpool"),
        (lambda: TaskSpec(), "needs an id, a factory or a vector environment"),
        (lambda: TaskSpec(id="X", max_episode_steps=0), "must be >= 1; got 0"),
        (
            lambda: TaskSpec(id="X", env_kwargs={"max_episode_steps": 3}),
            "must not hold max_episode",
        ),
        (lambda: TaskSpec(factory=Counting, env_kwargs={"length": 3}), "env_kwargs has no effect"),
        (lambda: TaskSpec(factory=Counting, backend="envpool"), "needs gymnasium environments"),
        (
            lambda: TaskSpec(id="X", wrapper="a:b", backend="envpool"),
            "needs gymnasium environments",
        ),
        (
            lambda: TaskSpec(vector_env=SyncVectorEnv([Counting]), wrapper="a:b"),
            "wrapper has no effect",
        ),
        (
            lambda: TaskSpec(vector_env=SyncVectorEnv([Counting]), factory=Counting),
            "got both",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    make_spec: Callable[[], TaskSpec], match: str
) -> None:
    """Unknown, out of range, or without effect beside the others."""
    with pytest.raises(SettingError, match=match):
        make_spec()


@pytest.mark.parametrize(
    ("asked", "declared", "limit", "num_notes"),
    [
        (7, 500, 7, 0),
        (700, 500, 700, 0),
        (None, 500, 500, 0),
        (7, None, 7, 0),
        (None, None, 27_000, 1),
    ],
)
def test_the_limit_is_the_asked_one_then_the_declared_one(
    asked: int | None, declared: int | None, limit: int, num_notes: int
) -> None:
    """A limit that nobody named is noted."""
    found, notes = resolve_limit(asked, declared)
    assert (found, len(notes)) == (limit, num_notes)
    assert DEFAULT_MAX_EPISODE_STEPS == 27_000


def info(observation_space: spaces.Box, action_space: spaces.Space) -> TaskInfo:
    return TaskInfo(
        id="Toy-v0",
        backend="envpool",
        observation_space=observation_space,
        action_space=action_space,
        equal_starts=False,
        max_episode_steps=27_000,
    )


def test_describe_is_one_line_of_facts() -> None:
    """Pixels by shape, continuous actions by size, the limit, whether starts can be paired."""
    pixels = info(spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Box(-1, 1, (6,)))
    assert describe(pixels) == (
        "Toy-v0 on envpool: pixels 4x84x84 -> 6 continuous actions, at most 27,000 steps, "
        "starts not equal by seed"
    )
