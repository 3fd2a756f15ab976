"""Environments that draw themselves: as policies see them, or clear words why not."""

import os

import numpy as np
import pytest
from drawn_env import SIZE, Drawn, register_drawn

from rldistill.envs.backends import make
from rldistill.envs.off_screen import off_screen
from rldistill.envs.rendered import open_rendered
from rldistill.envs.spec import TaskSpec
from rldistill.errors import EnvironmentFailure, TaskError

register_drawn()


def test_it_draws_and_steps_as_policies_see_it() -> None:
    with open_rendered(TaskSpec(id="Drawn-v0", backend="envpool")) as env:
        first = env.reset(7)
        assert first.shape == (1, 2)
        assert env.draw().shape == (*SIZE, 3)
        assert env.frames_per_second == 10.0
        seen, reward, over = env.step(np.array([1]))
        assert (seen[0, 0], reward, over) == (1.0, 1.0, False)
        assert (env.draw()[:, :4] == 255).all()
        assert np.array_equal(env.reset(7), first)
        assert env.info.backend == "gymnasium"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (TaskSpec(id="Unseen-v0"), "cannot draw itself"),
        (TaskSpec(factory=Drawn), "render_mode is None"),
        (TaskSpec(id="Nowhere-v0"), "no task"),
    ],
)
def test_what_cannot_be_drawn_says_so(task: TaskSpec, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        open_rendered(task)


def test_another_kind_of_picture_is_refused() -> None:
    task = TaskSpec(factory=lambda: Drawn("rgb_array", "grey"))
    with open_rendered(task) as env:
        env.reset(0)
        with pytest.raises(TaskError, match="height, width, 3"):
            env.draw()


def test_colours_that_are_shares_become_bytes() -> None:
    """As MinAtar's."""
    pictures = []
    for kind in ("rgb", "shares"):
        with open_rendered(TaskSpec(factory=lambda kind=kind: Drawn("rgb_array", kind))) as env:
            env.reset(0)
            pictures.append(env.draw().astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_a_missing_display_is_told_with_what_to_install() -> None:
    task = TaskSpec(factory=lambda: Drawn("rgb_array", "raise"))
    with open_rendered(task) as env:
        env.reset(0)
        with pytest.raises(EnvironmentFailure, match="apt install libegl1"):
            env.draw()


def test_drawing_off_screen_keeps_what_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    with off_screen():
        assert os.environ["MUJOCO_GL"] == "egl"
    assert "MUJOCO_GL" not in os.environ
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with off_screen():
        assert os.environ["MUJOCO_GL"] == "osmesa"


@pytest.mark.slow
@pytest.mark.parametrize(
    "task_id",
    ["CartPole-v1", "Acrobot-v1", "Pendulum-v1", "LunarLander-v3", "BipedalWalker-v3",
     "HalfCheetah-v4", "Swimmer-v5", "FrozenLake-v1"],
)  # fmt: skip
def test_tasks_of_gymnasium_are_drawn_without_a_display(task_id: str) -> None:
    """Not one colour alone, and another picture after 30 steps."""
    with off_screen(), open_rendered(TaskSpec(id=task_id)) as env:
        env.reset(0)
        before = env.draw()
        action = env.info.action_space
        for _ in range(30):
            if env.step(np.array([action.sample()]))[2]:
                break
        assert before.std() > 1.0
        assert not np.array_equal(before, env.draw())


@pytest.mark.slow
def test_the_camera_goes_with_the_body() -> None:
    """A cheetah that has been put 50 m ahead is still in the picture: its colour is."""
    with off_screen(), open_rendered(TaskSpec(id="HalfCheetah-v4")) as env:
        env.reset(0)
        before = env.draw()
        body = env._env.unwrapped
        position = body.data.qpos.copy()
        position[0] += 50.0
        body.set_state(position, body.data.qvel)
        after = env.draw()
    skin = [(np.abs(x.astype(int) - [200, 150, 90]).sum(-1) < 90).sum() for x in (before, after)]
    assert skin[1] > 0.5 * skin[0] > 50


@pytest.mark.parametrize(
    ("task", "package", "size"),
    [
        (TaskSpec(id="MinAtar/Breakout-v1", backend="minatar"), "minatar", (240, 240, 3)),
        (TaskSpec(id="ALE/Pong-v5", backend="ale"), "ale_py", (210, 160, 3)),
    ],
)
def test_games_of_other_backends_are_drawn_as_they_are_played(
    task: TaskSpec, package: str, size: tuple[int, int, int]
) -> None:
    """What policies see is what the backend of training shows, and the picture has colours."""
    pytest.importorskip(package)
    with open_rendered(task) as env, make(task, 1, 3) as played:
        assert np.array_equal(env.reset(3), played.reset(3))
        picture = env.draw()
        assert picture.shape == size
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2
