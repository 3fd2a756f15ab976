"""Names of observations and actions: one per number, and those of the task's makers."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rldistill.envs.names import _ACTIONS, _FEATURES, Name, action_names, feature_names
from rldistill.envs.spec import ObservationPart, TaskInfo


def info(task_id: str, observed: spaces.Space, acted: spaces.Space, **more: object) -> TaskInfo:
    return TaskInfo(
        id=task_id, backend="gymnasium", observation_space=observed, action_space=acted,
        equal_starts=True, max_episode_steps=10, **more,
    )  # fmt: skip


@pytest.mark.parametrize("stem", sorted(_FEATURES))
def test_known_tasks_have_as_many_names_as_numbers(stem: str) -> None:
    """Of the environment that is registered, in its latest version."""
    versions = [x for x in gymnasium.registry if x.rpartition("-v")[0] == stem]
    env = gymnasium.make(max(versions))
    assert len(_FEATURES[stem]) == env.observation_space.shape[0]
    if stem in _ACTIONS:
        space = env.action_space
        count = space.n if isinstance(space, spaces.Discrete) else space.shape[0]
        assert len(_ACTIONS[stem]) == count
    assert len(set(_FEATURES[stem])) == len(_FEATURES[stem])
    env.close()


def test_a_task_of_that_name_with_other_numbers_has_none_of_them() -> None:
    box = spaces.Box(-1.0, 1.0, (2,), np.float32)
    named = feature_names(info("CartPole-v9", box, spaces.Discrete(5)))
    assert named == (Name("number 0"), Name("number 1"))
    assert action_names(info("CartPole-v9", box, spaces.Discrete(5)))[4] == "action 4"


def test_entries_of_a_dict_have_its_names() -> None:
    box = spaces.Box(-1.0, 1.0, (3,), np.float32)
    parts = (ObservationPart("goal", 0, 2), ObservationPart("wind", 2, 3))
    named = feature_names(info("Own-v0", box, spaces.Discrete(2), observation_parts=parts))
    assert [str(name) for name in named] == ["goal[0]", "goal[1]", "wind"]


def test_pictures_have_no_names() -> None:
    box = spaces.Box(0, 255, (4, 4, 3), np.uint8)
    assert feature_names(info("ALE/Pong-v5", box, spaces.Discrete(6))) == ()


def test_components_of_a_continuous_action_are_counted() -> None:
    box = spaces.Box(-1.0, 1.0, (2,), np.float32)
    assert action_names(info("Own-v0", box, box)) == ("component 0", "component 1")
    assert str(Name("angle", "rad")) == "angle [rad]"
