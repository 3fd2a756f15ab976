"""Views of an Atari game's memory: the bytes of the very state whose picture the teacher sees."""

import numpy as np
import pytest

from rldistill.envs.atari_settings import parse_atari
from rldistill.envs.atari_single import AtariGame
from rldistill.envs.backends import make
from rldistill.envs.naming import known_objects
from rldistill.envs.spec import TaskSpec
from rldistill.envs.views import View
from rldistill.errors import SettingError

PONG = "PongNoFrameskip-v4"
B, LIMIT, SEED = 3, 40, 5


def task(view: str | None) -> TaskSpec:
    seen = None if view is None else View.parse(view)
    return TaskSpec(id=PONG, student_view=seen, max_episode_steps=LIMIT)


def actions() -> np.ndarray:
    """Those of two episodes and what begins anew between them."""
    return np.random.default_rng(0).integers(0, 6, (2 * LIMIT + 5, B))


def test_the_memory_is_that_of_the_state_whose_picture_the_teacher_sees() -> None:
    """Against single games played by hand, over the ends of episodes."""
    games = [AtariGame(parse_atari(PONG, {}), LIMIT) for _ in range(B)]
    pictures = [game.reset(seed=SEED + i)[0] for i, game in enumerate(games)]
    with make(task("ram"), B, SEED) as env:
        seen, over = env.reset(), np.zeros(B, bool)
        for chosen in actions():
            np.testing.assert_array_equal(seen, [game.memory() for game in games])
            np.testing.assert_array_equal(env.teacher_observations, pictures)
            step = env.step(chosen)
            seen = step.observations
            for i, game in enumerate(games):
                if over[i]:
                    pictures[i], over[i] = game.reset()[0], False
                else:
                    pictures[i], _, ended, cut, _ = game.step(int(chosen[i]))
                    over[i] = ended or cut
            np.testing.assert_array_equal(over, step.terminated | step.truncated)


def test_what_is_played_is_what_the_vector_environment_plays() -> None:
    with make(task("ram"), B, SEED) as ours, make(task(None), B, SEED) as theirs:
        ours.reset()
        np.testing.assert_array_equal(ours.teacher_observations, theirs.reset())
        for chosen in actions():
            step, expected = ours.step(chosen), theirs.step(chosen)
            np.testing.assert_array_equal(step.teacher_observations, expected.observations)
            np.testing.assert_array_equal(step.rewards, expected.rewards)
            np.testing.assert_array_equal(step.valid, expected.valid)


def test_objects_are_bytes_of_the_memory_and_change_is_since_the_step_before() -> None:
    places = list(known_objects(PONG))
    with make(task("objects+change"), B, SEED) as env, make(task("ram"), B, SEED) as whole:
        before = now = whole.reset()[:, places]
        seen, begins = env.reset(), np.ones(B, bool)
        moved = np.zeros(len(places), bool)
        for chosen in actions():
            change = np.where(begins[:, None], 0.0, now - before)
            np.testing.assert_array_equal(seen, np.concatenate([now, change], 1))
            moved |= (change != 0).any(0)
            step, other = env.step(chosen), whole.step(chosen)
            seen, begins = step.observations, ~step.valid
            before, now = now, other.observations[:, places]
        assert moved[1:].all(), "paddle and ball move"


@pytest.mark.parametrize(
    ("game", "view", "said"),
    [
        ("QbertNoFrameskip-v4", "objects", "only for ALE/Pong-v5, ALE/Breakout-v5"),
        ("CartPole-v1", "ram", "that is for Atari"),
        (PONG, "pixels", "observes pixels without a view"),
    ],
)
def test_what_a_task_cannot_show_is_told(game: str, view: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        make(TaskSpec(id=game, student_view=View.parse(view)), 1, 0)
