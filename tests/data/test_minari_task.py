"""What the metadata of a Minari dataset say of its task, and what they must not do."""

import json
from typing import Any

import gymnasium
import pytest

from rldistill.data.minari_task import OURS, RecordedTask, recorded_task


def told(**changes: Any) -> str:
    """The spec of an environment as minari writes it."""
    spec = {"id": "Pendulum-v1", "kwargs": {}, "max_episode_steps": 200, "additional_wrappers": []}
    return json.dumps(spec | changes)


def test_arguments_are_kept_and_pictures_and_usual_values_are_not() -> None:
    """A usual value would only stand in the way of backends that do not know its name."""
    kwargs = {"g": 3.0, "render_mode": "human"}
    assert recorded_task({"env_spec": told(kwargs=kwargs)}) == RecordedTask(
        "Pendulum-v1", {"g": 3.0}
    )
    usual = gymnasium.spec("LunarLanderContinuous-v3").kwargs
    assert usual == {"continuous": True}
    lander = told(
        id="LunarLanderContinuous-v3", kwargs=usual | {"gravity": -5.0}, max_episode_steps=None
    )
    assert recorded_task({"env_spec": lander}).env_kwargs == {"gravity": -5.0}
    changed = told(id="LunarLanderContinuous-v3", kwargs={"continuous": False})
    assert recorded_task({"env_spec": changed}).env_kwargs == {"continuous": False}


def test_the_environment_to_evaluate_in_goes_first() -> None:
    collected, judged = told(kwargs={"g": 3.0}), told(kwargs={"g": 4.0})
    both = recorded_task({"env_spec": collected, "eval_env_spec": judged})
    assert both.env_kwargs == {"g": 4.0}
    assert recorded_task({"env_spec": None, "eval_env_spec": judged}) == both
    assert recorded_task({"env_spec": collected, "eval_env_spec": None}).env_kwargs == {"g": 3.0}


def test_what_is_not_followed_is_said() -> None:
    task = recorded_task(
        {"env_spec": told(max_episode_steps=1500, additional_wrappers=[{"name": "ClipAction"}])}
    )
    assert task.id == "Pendulum-v1"
    assert "cuts episodes at 1,500 steps" in task.notes[0]
    assert "ClipAction" in task.notes[1]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "names no environment"),
        ({"env_spec": told(id="evil:Pendulum-v1")}, "not the id"),
        ({"env_spec": told(kwargs={"g": float("nan")})}, "g cannot be given"),
        ({"env_spec": told(kwargs={"g": {"x": [float("inf")]}})}, "g cannot be given"),
        ({"env_spec": told(kwargs={"g": "(a live object: Planet)"})}, "g cannot be given"),
        ({"description": "Collected by hand"}, "names no environment"),
    ],
)
def test_a_task_that_is_not_known_has_a_reason(metadata: dict[str, Any], reason: str) -> None:
    task = recorded_task(metadata)
    assert task.id == ""
    assert reason in task.unknown


def test_our_description_tells_the_tasks_that_envpool_alone_has() -> None:
    """With gymnasium's backend, a task without a spec was a live object: its name is no id."""
    facts = {"task": "Pong-v5", "env_kwargs": {"stack_num": 2}, "backend": "envpool"}
    text = f"{OURS}observations flat, actions from 0. "
    found = recorded_task({"description": text + json.dumps(facts)})
    assert found == RecordedTask("Pong-v5", {"stack_num": 2})
    live = facts | {"backend": "gymnasium"}
    assert recorded_task({"description": text + json.dumps(live)}).id == ""
