"""Views: text forms, what they show of a step, and what they refuse."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.envs.views import View
from rldistill.errors import SettingError

CARTPOLE = "CartPole-v1"


class Parts(gymnasium.Env):
    """A Dict of numbers and pixels; the position counts the steps of the episode, which has 3."""

    observation_space = spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (1, 8, 8), np.uint8),
            "position": spaces.Box(-9, 9, (2,), np.float32),
            "goal": spaces.Box(-9, 9, (1,), np.float32),
        }
    )
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action):
        self.time += 1
        return self._seen(), 1.0, self.time == 3, False, {}

    def _seen(self):
        return {
            "camera": np.full((1, 8, 8), self.time, np.uint8),
            "position": np.array([self.time, -self.time], np.float32),
            "goal": np.array([7], np.float32),
        }


def doubled(observations):
    return 2.0 * observations


def seen_by(student=None, teacher=None, **task):
    views = {"student_view": student, "teacher_view": teacher}
    given = {name: View.parse(text) for name, text in views.items() if text}
    return TaskSpec(**(task or {"factory": Parts}), **given)


@pytest.mark.parametrize(
    "text",
    ["[0,1,4:6]", "drop:2,3", "keys:position,goal+stack:4", "noise:0.1@0,2", "change",
     "previous-action", "pixels:64:rgb", "ram", "objects+change", "my_module:function"],
)  # fmt: skip
def test_a_view_is_its_text(text):
    view = View.parse(text)
    assert str(view) == text
    assert View.parse(str(view)) == view


@pytest.mark.parametrize(
    ("text", "problem"),
    [("stakc:4", "Did you mean stack"), ("noise:0", "no effect"), ("stack:1", "no effect"),
     ("ram+ram", "must come first"), ("", "no stage"), ("drop", "needs an argument"),
     ("pixels:3", "side from 8")],
)  # fmt: skip
def test_a_text_that_means_no_view_is_refused(text, problem):
    with pytest.raises(SettingError, match=problem):
        View.parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("[9]", "outside"), ("[0:9]", "outside"), ("[0,1,2,3]", "no effect"), ("[1,1]", "twice"),
     ("drop:0:4", "leaves nothing"), ("[pole angl]", "Did you mean pole angle"),
     ("keys:x", "Dict or Tuple"), ("ram", "no memory"), ("key:x", "keys"),
     ("os:nothing", "no 'nothing'")],
)  # fmt: skip
def test_a_view_that_does_not_fit_its_task_is_refused(text, problem):
    with pytest.raises(SettingError, match=problem):
        make(seen_by(text, id=CARTPOLE), 2, 0)


def test_an_unknown_key_is_asked_about():
    with pytest.raises(SettingError, match="Did you mean position"):
        make(seen_by("keys:positon"), 1, 0)


def test_both_see_the_same_step_and_one_array_where_their_views_are_equal():
    with make(seen_by("keys:position", "keys:camera"), 2, 0) as env:
        for time, shown in enumerate([env.reset(), env.step(np.zeros(2, int)).observations]):
            assert (shown[:, 0] == time).all()
        assert (env.teacher_observations == 1).all()
        assert env.teacher_observations.dtype == np.uint8
        assert env.info.teacher_shape == (1, 8, 8)
    for task in (seen_by(id=CARTPOLE), seen_by("[0]", "[0]", id=CARTPOLE)):
        with make(task, 2, 0) as env:
            assert env.reset() is env.teacher_observations
            step = env.step(np.zeros(2, int))
            assert step.observations is step.teacher_observations


def test_history_begins_anew_with_each_episode():
    view = "keys:position+[0]+stack:2+previous-action"
    with make(seen_by(view), 1, 0) as env:
        found = [env.reset()]
        found += [env.step(np.array([2])).observations for _ in range(5)]
    assert [row[0].tolist() for row in found] == [
        [0, 0, 0, 0, 0], [0, 1, 0, 0, 1], [1, 2, 0, 0, 1], [2, 3, 0, 0, 1],
        [0, 0, 0, 0, 0], [0, 1, 0, 0, 1],
    ]  # fmt: skip


def test_change_is_zero_where_an_episode_starts():
    with make(seen_by("keys:position+[0]+change"), 1, 0) as env:
        found = [env.reset(), *(env.step(np.array([0])).observations for _ in range(4))]
    assert [row[0].tolist() for row in found] == [[0, 0], [1, 1], [2, 1], [3, 1], [0, 0]]


def test_noise_is_of_the_seed_whatever_else_is_played_and_of_the_deviation_asked_for():
    def noise(num_envs, seed):
        with make(seen_by("noise:0.5@1", "drop:0", id=CARTPOLE), num_envs, seed) as env:
            first = env.reset(seed)
            steps = [env.step(np.zeros(num_envs, int)) for _ in range(200)]
        return first, np.stack([s.observations[:, 1:] - s.teacher_observations for s in steps])

    one, many = noise(1, 6), noise(3, 5)
    np.testing.assert_array_equal(one[0][0], many[0][1])
    np.testing.assert_array_equal(one[1][:, 0], many[1][:, 1])
    assert many[1][..., 0].std() == pytest.approx(0.5, rel=0.1)
    assert (many[1][..., 1:] == 0).all()
    assert not np.array_equal(many[1][:, 0], many[1][:, 1])


def test_code_of_the_user_is_called_on_batches(monkeypatch):
    monkeypatch.setattr("colorsys.doubled", doubled, raising=False)
    with make(seen_by("colorsys:doubled", id=CARTPOLE), 2, 0) as env:
        np.testing.assert_array_equal(env.reset(), 2.0 * env.teacher_observations)


def test_names_follow_their_numbers():
    with make(seen_by("[pole angle,0]+change", id=CARTPOLE), 1, 0) as env:
        names = [one.heading for one in env.info.features]
    assert names[:3] == ["pole angle [rad]", "cart position [m]", "change of pole angle [rad]"]


def test_pixels_are_of_the_state_that_the_other_sees():
    with make(seen_by("pixels:16", id=CARTPOLE), 2, 0) as env:
        first, then = env.reset(1), env.step(np.zeros(2, int)).observations
    assert first.shape == (2, 1, 16, 16)
    assert first.dtype == np.uint8
    assert not np.array_equal(first, then)


def test_each_seat_by_itself_is_the_same_task():
    task = seen_by("[0]", "[1]", id=CARTPOLE)
    assert task.seen_by_teacher().seats == (View.parse("[1]"),) * 2
    assert task.seen_by_student().seats == (View.parse("[0]"),) * 2


def test_notes_say_one_view_where_only_one_is_looked_through():
    """A student that plays by itself says nothing of what its teacher saw."""
    drop = View.parse("drop:1")
    spec = TaskSpec(id=CARTPOLE, student_view=drop)
    told = {}
    for name, task in (("both", spec), ("alone", spec.seen_by_student())):
        with make(task, 1, 0) as env:
            told[name] = [note for note in env.info.notes if "view" in note]
    assert told == {"both": ["student view: drop:1"], "alone": ["view: drop:1"]}
    with make(TaskSpec(id=CARTPOLE), 1, 0) as env:
        assert not [note for note in env.info.notes if "view" in note]
