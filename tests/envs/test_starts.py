"""States that are played to again are the states that were recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.envs.starts import Start, Starts, make_single, make_started, scored_kwargs
from rldistill.errors import EnvironmentFailure, SettingError, TaskError

TASKS = [
    TaskSpec(id="MinAtar/SpaceInvaders-v1"),
    TaskSpec(id="MinAtar/Asterix-v0", env_kwargs={"sticky_action_prob": 0.3}),
    TaskSpec(id="ALE/Breakout-v5", env_kwargs={"fire_after_life": True}),
    TaskSpec(id="Qbert-v4"),
    TaskSpec(id="CartPole-v1"),
    TaskSpec(id="Pendulum-v1"),
]


def random_actions(task: TaskSpec, count: int) -> np.ndarray:
    with make_single(task, 1, 0) as env:
        space = env.info.action_space
    rng = np.random.default_rng(0)
    if space.shape == ():
        return rng.integers(0, space.n, count)
    return rng.uniform(-1, 1, (count, *space.shape)).astype(np.float32)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
@pytest.mark.parametrize("length", [0, 6])
def test_what_follows_a_replayed_state_is_what_followed_it(task: TaskSpec, length: int) -> None:
    """Observations and rewards after the state are those of the original episode, bit by bit."""
    actions = random_actions(task, length + 8)
    with make_single(task, 1, 21) as original:
        shown = original.reset()
        for action in actions[:length]:
            shown = original.step(action[None]).observations
        with make_started(task, [Start(21, actions[:length])] * 2) as started:
            for _ in range(2):
                np.testing.assert_array_equal(started.reset()[0], shown[0])
            for action in actions[length:]:
                ours, theirs = original.step(action[None]), started.step(np.stack([action] * 2))
                for copy in range(2):
                    np.testing.assert_array_equal(theirs.observations[copy], ours.observations[0])
                    assert theirs.rewards[copy] == ours.rewards[0]


def test_single_games_are_the_games_of_the_vector_environment() -> None:
    """So that starts recorded on one are states of the other."""
    task = TaskSpec(id="ALE/Breakout-v5")
    actions = random_actions(task, 20)
    with make(task, 2, 4) as vector, make_single(task, 2, 4) as single:
        np.testing.assert_array_equal(vector.reset(), single.reset())
        for action in actions:
            both = np.array([action, action])
            np.testing.assert_array_equal(
                vector.step(both).observations, single.step(both).observations
            )


def starts(task: TaskSpec, *states: Start) -> Starts:
    return Starts(
        task_id=task.id, env_kwargs=scored_kwargs(task), source="a test", states=tuple(states)
    )


@pytest.mark.parametrize(
    "actions", [np.array([1, 0, 1]), np.zeros(0, np.int64), np.ones((2, 1), np.float32)]
)
def test_a_file_holds_what_was_saved(tmp_path: Path, actions: np.ndarray) -> None:
    """Types too: indices stay whole numbers, vectors float32."""
    task = TaskSpec(id="X-v0", env_kwargs={"size": (2, 3)})
    starts(task, Start(5, actions)).save(tmp_path / "s.json")
    found = Starts.load(tmp_path / "s.json")
    found.require_task(task)
    assert (found.task_id, found.env_kwargs, found.source) == ("X-v0", {"size": [2, 3]}, "a test")
    assert found.states[0].seed == 5
    np.testing.assert_array_equal(found.states[0].actions, actions)
    assert found.states[0].actions.dtype == actions.dtype


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "rldistill starts 1"}', "\x00"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    """With the command that makes one."""
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(SettingError, match=r"is no file of starts.*starts record POLICY"):
        Starts.load(tmp_path / "s.json")


def test_files_with_wrong_entries_are_refused(tmp_path: Path) -> None:
    """A file that says what it is may still be damaged."""
    starts(TaskSpec(id="X-v0"), Start(5, np.array([1]))).save(tmp_path / "s.json")
    record = json.loads((tmp_path / "s.json").read_text())
    for broken in (
        [],
        [{"seed": 1}],
        [{"seed": "x", "actions": []}],
        [{"seed": 1, "actions": "a"}],
    ):
        (tmp_path / "s.json").write_text(json.dumps(record | {"starts": broken}))
        with pytest.raises(SettingError, match="no file of starts"):
            Starts.load(tmp_path / "s.json")
    with pytest.raises(SettingError, match="cannot be read"):
        Starts.load(tmp_path / "missing.json")
    with pytest.raises(SettingError, match="cannot be written"):
        starts(TaskSpec(id="X-v0"), Start(5, np.array([1]))).save(tmp_path / "no" / "s.json")


def test_starts_of_another_task_are_refused() -> None:
    """Another id, or other arguments; what scores leave out does not count."""
    of = starts(TaskSpec(id="ALE/Pong-v5"), Start(0, np.array([1])))
    of.require_task(TaskSpec(id="ALE/Pong-v5", env_kwargs={"reward_clipping": True}))
    for other in (
        TaskSpec(id="ALE/Breakout-v5"),
        TaskSpec(id="ALE/Pong-v5", env_kwargs={"noop_max": 1}),
    ):
        with pytest.raises(TaskError, match="these starts are of ALE/Pong-v5 with no arguments"):
            of.require_task(other)


@pytest.mark.parametrize(
    ("task", "length"), [("CartPole-v1", 400), ("MinAtar/Breakout-v1", 400), ("ALE/Pong-v5", 6000)]
)
def test_an_episode_that_ends_before_its_start_is_an_error(task: str, length: int) -> None:
    """Starts of another version of a task are not silently played from somewhere else."""
    states = [Start(0, np.zeros(length, np.int64))]
    with (
        make_started(TaskSpec(id=task), states) as envs,
        pytest.raises(EnvironmentFailure, match="version"),
    ):
        envs.reset()


def test_what_cannot_be_played_one_by_one_is_refused() -> None:
    """envpool seeds a whole pool, and a live vector environment is one object."""
    with pytest.raises(TaskError, match="'envpool' cannot do"):
        make_single(TaskSpec(id="CartPole-v1", backend="envpool"), 1, 0)
