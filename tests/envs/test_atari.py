"""Atari tasks through make(): lives, stacks, rewards, ROMs, and which ids are Atari's."""

from pathlib import Path

import numpy as np
import pytest

from rldistill.envs import ale
from rldistill.envs.atari import is_atari, scored
from rldistill.envs.backends import VectorEnv, make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import MissingExtraError, SettingError, TaskError

B = 2
NOOP = np.zeros(B, np.int64)


def breakout(**kwargs: object) -> VectorEnv:
    return make(TaskSpec(id="BreakoutNoFrameskip-v4", env_kwargs=kwargs), B, seed=3)


def frames_seen(observation: np.ndarray) -> int:
    """How many frames of a stack are not blank."""
    return int(observation.any(axis=(1, 2)).sum())


def test_fire_after_a_lost_life_serves_and_begins_a_new_stack() -> None:
    """Doing nothing loses all five lives only where FIRE is pressed after each; stacks show it."""
    with breakout(fire_after_life=True) as served, breakout() as unserved:
        served.reset(), unserved.reset()
        stacks, ends, waits = [], np.zeros(B, int), 0
        for _ in range(150):
            step = served.step(NOOP)
            stacks.append(frames_seen(step.observations[0]))
            ends += step.terminated
            waits += unserved.step(NOOP).terminated.sum()
        assert (ends >= 1).all()
        assert waits == 0
        first_game = stacks[: stacks.index(1, 5 * 20)]
        # The start of the game (it grows from 2), then four served balls (each from 1).
        assert [stacks[t] for t in range(3)] == [2, 3, 4]
        assert sum(one == 1 for one in first_game) == 4
        at = first_game.index(1)
        assert first_game[at - 1 : at + 4] == [4, 1, 2, 3, 4]


def test_episodic_life_goes_on_in_the_same_game() -> None:
    """A lost life ends the episode; the next one has the bricks that are left, until game over."""
    with (
        breakout(episodic_life=True, fire_after_life=True) as by_life,
        breakout(fire_after_life=True) as whole,
    ):
        by_life.reset(), whole.reset()
        ends = games = 0
        for _ in range(150):
            ended, reference = by_life.step(NOOP), whole.step(NOOP)
            ends += ended.terminated.sum()
            games += reference.terminated.sum()
            # The same frames throughout: only what is said of them differs.
            np.testing.assert_array_equal(ended.observations, reference.observations)
        assert ends >= 5 * games > 0


def test_rewards_are_raw_unless_clipping_is_asked_for() -> None:
    """Qbert pays 25 per cube; a clipped 1 is a raw 25, at the same steps."""
    spec = TaskSpec(id="QbertNoFrameskip-v4")
    clipped = TaskSpec(id="QbertNoFrameskip-v4", env_kwargs={"reward_clipping": True})
    with make(spec, B, 0) as plain, make(clipped, B, 0) as cut, make(scored(clipped), B, 0) as raw:
        for envs in (plain, cut, raw):
            envs.reset()
        total, rng = 0.0, np.random.default_rng(2)
        for _ in range(120):
            actions = rng.integers(0, plain.info.action_space.n, B)
            steps = [envs.step(actions) for envs in (plain, cut, raw)]
            np.testing.assert_array_equal(np.clip(steps[0].rewards, -1, 1), steps[1].rewards)
            np.testing.assert_array_equal(steps[0].rewards, steps[2].rewards)
            total += steps[0].rewards.sum()
        assert total >= 25


def test_scores_keep_all_other_settings() -> None:
    """And tasks that are no games of Atari are left as they are."""
    kwargs = {"noop_max": 1, "episodic_life": True, "reward_clipping": True}
    assert scored(TaskSpec(id="ALE/Pong-v5", env_kwargs=kwargs)).env_kwargs == {"noop_max": 1}
    other = TaskSpec(id="CartPole-v1")
    assert scored(other) is other


@pytest.mark.parametrize(
    ("task_id", "expected"),
    [
        ("ALE/Breakout-v5", True), ("ALE/NoSuchGame-v5", True), ("PongNoFrameskip-v4", True),
        ("Breakout-v4", True), ("Hopper-v4", False), ("CartPole-v0", False), ("Combat-v4", False),
        ("Breakout-v5", False),
    ],
)  # fmt: skip
def test_which_ids_are_atari(task_id: str, expected: bool) -> None:
    """MuJoCo's v4 ids have the same form and are not taken for games."""
    assert is_atari(task_id) is expected


def test_settings_are_in_the_notes() -> None:
    """What was made is said: the whole preprocessing, in words."""
    with make("ALE/Breakout-v5", 1, 0) as envs:
        assert any("sticky actions 0.25" in note and "stack 4" in note for note in envs.info.notes)
        assert envs.info.max_episode_steps == 27_000


def test_a_game_without_rom_says_which_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A missing ROM, and a file that is another one, are errors that name ALE_ROMS_DIR."""
    monkeypatch.setenv("ALE_ROMS_DIR", str(tmp_path))
    with pytest.raises(TaskError, match=r"pong.bin is missing.*ALE_ROMS_DIR"):
        make("ALE/Pong-v5", 1, 0)
    (tmp_path / "pong.bin").write_bytes(b"no game")
    with pytest.raises(TaskError, match=r"pong.bin is missing, or not the one"):
        make("ALE/Pong-v5", 1, 0)
    assert "Loading roms" not in capfd.readouterr().out


def test_without_ale_py_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that can be nothing but Atari say what to install."""
    monkeypatch.setitem(__import__("sys").modules, "ale_py.roms", None)
    with pytest.raises(MissingExtraError, match=r"rldistill\[atari\]"):
        ale.games()


def test_fire_after_life_needs_a_game_with_fire() -> None:
    """A setting without effect is refused."""
    with pytest.raises(SettingError, match=r"fire_after_life has no effect.*NOOP, UP, DOWN"):
        make(TaskSpec(id="ALE/Freeway-v5", env_kwargs={"fire_after_life": True}), 1, 0)
