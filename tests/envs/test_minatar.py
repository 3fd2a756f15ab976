"""MinAtar's games behind the vector API are the package's own, step by step."""

import numpy as np
import pytest
from minatar import Environment

from rldistill.envs.backends import make
from rldistill.envs.minatar import GAMES, IDS, MinAtarSettings
from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError

B = 3
CHANNELS = {"Asterix": 4, "Breakout": 4, "Freeway": 7, "Seaquest": 10, "SpaceInvaders": 6}
ACTIONS = {"Asterix": 5, "Breakout": 3, "Freeway": 3, "Seaquest": 6, "SpaceInvaders": 4}


@pytest.mark.parametrize("game", GAMES)
def test_equals_the_package_step_by_step(game: str) -> None:
    """The same seed and actions give the same states, rewards and ends, over many episodes."""
    originals = [Environment(GAMES[game]) for _ in range(B)]
    for index, original in enumerate(originals):
        original.seed(11 + index)
        original.reset()
    minimal = originals[0].minimal_action_set()
    rng = np.random.default_rng(0)
    with make(f"MinAtar/{game}-v1", B, seed=11) as envs:
        observations = envs.reset()
        ends = 0
        for _ in range(400):
            for original, observation in zip(originals, observations, strict=True):
                np.testing.assert_array_equal(original.state(), observation)
            actions = rng.integers(0, envs.info.action_space.n, B)
            step = envs.step(actions)
            for index, original in enumerate(originals):
                if not step.valid[index]:
                    original.reset()
                    continue
                reward, over = original.act(minimal[actions[index]])
                assert (step.rewards[index], step.terminated[index]) == (reward, over)
                ends += over
            observations = step.observations
        assert ends > 0 or game == "Freeway"


@pytest.mark.parametrize("task_id", IDS)
def test_shapes_and_action_sets(task_id: str) -> None:
    """10 x 10 x channels of 0 and 1 in uint8; v1 has the actions that count, v0 all six."""
    game = task_id.removeprefix("MinAtar/")[:-3]
    with make(task_id, 1, 0) as envs:
        space = envs.info.observation_space
        assert space.shape == (10, 10, CHANNELS[game])
        assert (space.dtype, space.high.max()) == (np.uint8, 1)
        assert envs.info.action_space.n == (ACTIONS[game] if task_id.endswith("1") else 6)


def test_sticky_actions_repeat_the_action_before() -> None:
    """With probability 1 nothing but the first action (none) is ever done; with 0 all are."""
    left = np.ones(1, np.int64)
    moved = []
    for sticky in (0.0, 1.0):
        kwargs = {"sticky_action_prob": sticky}
        with make(TaskSpec(id="MinAtar/Breakout-v1", env_kwargs=kwargs), 1, 0) as envs:
            first = envs.reset()
            step = envs.step(left)
            moved.append((first[0, 9, :, 0] != step.observations[0, 9, :, 0]).any())
    assert moved == [True, False]


def test_a_seed_forgets_the_action_before() -> None:
    """The package itself would let the first sticky action of a seeded game come from the last."""
    kwargs = {"sticky_action_prob": 1.0}
    with make(TaskSpec(id="MinAtar/Breakout-v1", env_kwargs=kwargs), 1, 0) as envs:
        envs.reset()
        first = [envs.step(np.array([1])).observations for _ in range(3)]
        envs._simulator._games[0]._game.last_action = 1
        envs.reset(0)
        again = [envs.step(np.array([1])).observations for _ in range(3)]
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"sticky_action": 0.1}, "no setting 'sticky_action'. Did you mean sticky_action_prob"),
        ({"sticky_action_prob": 1.5}, r"in \[0, 1\]; got 1.5"),
        ({"difficulty_ramping": 1}, "true or false"),
    ],
)
def test_wrong_settings_are_refused(kwargs: dict[str, object], message: str) -> None:
    """With what was required, and a near name."""
    with pytest.raises(SettingError, match=message):
        make(TaskSpec(id="MinAtar/Asterix-v1", env_kwargs=kwargs), 1, 0)


def test_the_defaults_are_those_of_the_package() -> None:
    """Sticky actions 0.1, rising difficulty; the step limit is said, for the games have none."""
    assert MinAtarSettings() == MinAtarSettings(sticky_action_prob=0.1, difficulty_ramping=True)
    with make("MinAtar/Asterix-v1", 1, 0) as envs:
        assert any("no step limit: episodes are cut at 27,000" in note for note in envs.info.notes)


def test_resting_games_are_left_alone() -> None:
    """What rests keeps its picture; the others play on as they would have."""
    with make("MinAtar/Freeway-v1", 2, 0) as some, make("MinAtar/Freeway-v1", 2, 0) as every:
        before = some.reset()
        every.reset()
        some.rest(np.array([True, False]))
        for _ in range(5):
            step, reference = some.step(np.array([1, 1])), every.step(np.array([1, 1]))
        np.testing.assert_array_equal(step.observations[0], before[0])
        np.testing.assert_array_equal(step.observations[1], reference.observations[1])
        assert step.valid.tolist() == [False, True]
