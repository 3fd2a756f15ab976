"""One emulated game against ale-py's vector environment, and against cv2 and the emulator alone."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from rldistill.envs import ale
from rldistill.envs.atari_settings import parse_atari
from rldistill.envs.atari_single import AtariGame
from rldistill.envs.backends import make
from rldistill.envs.gymnasium import GymnasiumSimulator
from rldistill.envs.spec import TaskSpec

B = 2


@pytest.mark.parametrize(
    ("task_id", "kwargs"),
    [
        ("ALE/Breakout-v5", {}),
        ("BreakoutNoFrameskip-v4", {"fire_after_life": True}),
        ("BreakoutNoFrameskip-v4", {"fire_after_life": True, "episodic_life": True}),
        ("SeaquestNoFrameskip-v4", {"episodic_life": True, "reward_clipping": True}),
        ("ALE/MsPacman-v5", {"stack_num": 1, "maxpool": False, "full_action_space": True}),
        ("QbertNoFrameskip-v4", {"noop_max": 0, "use_fire_reset": False, "frameskip": 3}),
    ],
)
def test_equals_the_vector_environment_frame_by_frame(task_id: str, kwargs: dict[str, Any]) -> None:
    """Observations, rewards and ends are the same numbers over games, lives and sticky actions."""
    task = parse_atari(task_id, kwargs)
    singles = GymnasiumSimulator([AtariGame(task, 140) for _ in range(B)])
    spec = TaskSpec(id=task_id, env_kwargs=kwargs, max_episode_steps=140)
    with make(spec, B, seed=5) as envs:
        np.testing.assert_array_equal(singles.reset(5), envs.reset())
        rng = np.random.default_rng(0)
        ends = 0
        for _ in range(285):
            actions = rng.integers(0, envs.info.action_space.n, B)
            step = envs.step(actions)
            observations, rewards, terminated, truncated = singles.step(actions)
            np.testing.assert_array_equal(observations, step.observations)
            np.testing.assert_array_equal(rewards * step.valid, step.rewards)
            np.testing.assert_array_equal(terminated & step.valid, step.terminated)
            np.testing.assert_array_equal(truncated & step.valid, step.truncated)
            ends += (terminated | truncated).sum()
        assert ends >= 2 * B


def by_hand(emulator: Any, action: Any) -> np.ndarray:
    """Four frames of one action as any Atari wrapper has them: the larger of the last two."""
    screens = []
    for _ in range(4):
        emulator.act(action)
        screens.append(emulator.getScreenRGB())
    grey = [cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY) for screen in screens[2:]]
    return cv2.resize(np.maximum(*grey), (84, 84), interpolation=cv2.INTER_AREA)


def test_grey_is_that_of_cv2_but_for_rounding() -> None:
    """ALE's own grey differs from cv2's RGB2GRAY by at most 1 of 255: docs/decisions.md says it."""
    task = parse_atari("SeaquestNoFrameskip-v4", {"noop_max": 0, "use_fire_reset": False})
    game, emulator = AtariGame(task, None), ale.open_emulator(task, 3)
    game.reset(seed=3)
    emulator.reset_game()
    actions, rng = ale.action_set(emulator, task.settings), np.random.default_rng(0)
    expected = []
    for t in range(60):
        action = int(rng.integers(len(actions)))
        observation = game.step(action)[0]
        expected.append(by_hand(emulator, actions[action]))
        assert np.abs(observation[-1].astype(int) - expected[-1]).max() <= 1
        if t >= 3:
            difference = observation.astype(int) - np.stack(expected[-4:])
            assert np.abs(difference).max() <= 1


def test_random_frame_skips_are_two_to_four() -> None:
    """Game-v4 holds an action for 2, 3 or 4 frames, each a third of the time."""
    game = AtariGame(parse_atari("Seaquest-v4", {}), None)
    game.reset(seed=0)
    seen = [game._elapsed]
    for _ in range(300):
        game.step(0)
        seen.append(game._elapsed)
    counts = np.bincount(np.diff(seen), minlength=5)
    assert counts[:2].sum() == 0
    assert (counts[2:5] > 70).all()


@pytest.mark.parametrize("length", [0, 1, 3, 40])
def test_replaying_shows_what_stepping_shows(length: int) -> None:
    """Frames that are left out on the way are not missed afterwards."""
    task = parse_atari("ALE/Breakout-v5", {"fire_after_life": True})
    stepped, replayed = AtariGame(task, None), AtariGame(task, None)
    actions = np.random.default_rng(1).integers(0, 4, length + 20).tolist()
    for game in (stepped, replayed):
        game.reset(seed=4)
    for action in actions[:length]:
        shown = stepped.step(action)[0]
    again = replayed.replay(actions[:length])
    assert length == 0 or (again == shown).all()
    for action in actions[length:]:
        np.testing.assert_array_equal(stepped.step(action)[0], replayed.step(action)[0])


@pytest.mark.parametrize("make_limit", [lambda: 7, lambda: None])
def test_games_are_cut_at_their_limit(make_limit: Callable[[], int | None]) -> None:
    """After max_steps, or after 108,000 emulated frames where nothing else is said."""
    task = parse_atari("SeaquestNoFrameskip-v4", {})
    game = AtariGame(task, make_limit())
    game.reset(seed=0)
    if make_limit() is None:
        game._elapsed = 108_000 - 7 * 4
    cuts = [game.step(0)[3] for _ in range(7)]
    assert cuts == [False] * 6 + [True]
