"""MinAtar's five games (Young and Tian 2019), stepped by the package itself.

The only file that imports minatar. Its games make 48,000 to 350,000 steps/s on one core
(benchmarks/atari_speed.md), more than a network that acts; they are not written anew here.
"""

import importlib.util
import logging
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium import spaces

from rldistill.envs.seeing import PIXELS
from rldistill.envs.spec import TaskSpec, resolve_limit
from rldistill.envs.vector import Opened, RawStep, SimulatorError
from rldistill.errors import SettingError, TaskError, did_you_mean, require

Array = np.ndarray[Any, Any]

# As ids spell them, and as the package names its modules.
GAMES = {
    "Asterix": "asterix",
    "Breakout": "breakout",
    "Freeway": "freeway",
    "Seaquest": "seaquest",
    "SpaceInvaders": "space_invaders",
}
IDS = tuple(f"MinAtar/{game}-v{version}" for version in (1, 0) for game in GAMES)
_SIDE = 10
_PIXELS = 24  # of a side of a cell that is drawn
# Told apart by the colour-blind too (Okabe and Ito 2008), and then two shades of grey.
_COLOURS = np.array(
    [
        (0, 114, 178), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
        (213, 94, 0), (204, 121, 167), (255, 255, 255), (150, 150, 150), (90, 90, 90),
    ],
    np.uint8,
)  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class MinAtarSettings:
    """Names and defaults are those of minatar.Environment.

    Attributes:
        sticky_action_prob: chance that the action before is repeated, in [0, 1].
        difficulty_ramping: games become faster as they go on, where they can.
    """

    sticky_action_prob: float = 0.1
    difficulty_ramping: bool = True

    def __post_init__(self) -> None:
        sticky: Any = self.sticky_action_prob
        ramping: Any = self.difficulty_ramping
        if isinstance(sticky, bool) or not isinstance(sticky, (int, float)) or not 0 <= sticky <= 1:
            raise SettingError(
                f"MinAtar: sticky_action_prob must be a number in [0, 1]; got {sticky!r}"
            )
        if not isinstance(ramping, bool):
            raise SettingError(
                f"MinAtar: difficulty_ramping must be true or false; got {ramping!r}"
            )


def is_minatar(task_id: str) -> bool:
    """Whether an id has the form of MinAtar's; the game need not exist.

    >>> is_minatar("MinAtar/Pong-v1"), is_minatar("CartPole-v1")
    (True, False)
    """
    return re.match(r"minatar\b", task_id, re.IGNORECASE) is not None


@final
class MinAtarGame(gymnasium.Env[Array, Any]):
    """One game: what it shows is 10 x 10 x channels of 0 and 1, in uint8, channels last."""

    render_mode = "rgb_array"

    def __init__(self, task_id: str, settings: MinAtarSettings, limit: int) -> None:
        name, _, version = task_id.removeprefix("MinAtar/").rpartition("-v")
        with _without_remarks():
            module = require("minatar", extra="minatar")
        self._game = module.Environment(
            GAMES[name], settings.sticky_action_prob, settings.difficulty_ramping
        )
        minimal = self._game.minimal_action_set() if version == "1" else range(6)
        self._actions = [int(action) for action in minimal]
        self._limit, self._length = limit, 0
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
        # Dimensions of the state are the same for every state of one game.
        shape = tuple(int(size) for size in self._game.state_shape())
        self.observation_space = spaces.Box(0, 1, shape, np.uint8)
        self.action_space = spaces.Discrete(len(self._actions))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        if seed is not None:
            self._game.seed(seed)
            # The package would let a game that is seeded anew repeat the action before.
            self._game.last_action = 0
        self._game.reset()
        self._length = 0
        return self._game.state().view(np.uint8), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        reward, over = self._game.act(self._actions[action])
        self._length += 1
        return self._game.state().view(np.uint8), reward, over, self._length >= self._limit, {}

    def render(self) -> Any:
        """The cells, a colour for each channel, the last channel on top: 240 x 240 x 3, uint8."""
        picture = np.zeros((_SIDE, _SIDE, 3), np.uint8)
        state = self._game.state()
        for channel in range(state.shape[2]):
            picture[state[:, :, channel].astype(bool)] = _COLOURS[channel]
        return picture.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)


@final
class MinAtarSimulator:
    """B games, one after the other, written into one array per step."""

    def __init__(self, games: list[MinAtarGame]) -> None:
        self._games = games
        self.num_envs = len(games)
        self.observation_space: spaces.Space[Any] = games[0].observation_space
        self.action_space: spaces.Space[Any] = games[0].action_space
        self._over = [False] * len(games)
        self._resting = [False] * len(games)
        self._last = np.zeros(0, np.uint8)

    def reset(self, seed: int | None) -> Any:
        self._over, self._resting = [False] * self.num_envs, [False] * self.num_envs
        seeds = [None if seed is None else seed + index for index in range(self.num_envs)]
        pairs = zip(self._games, seeds, strict=True)
        self._last = np.stack([game.reset(seed=own)[0] for game, own in pairs])
        return self._last

    def step(self, actions: Array) -> RawStep:
        observations = np.empty_like(self._last)
        rewards = np.zeros(self.num_envs, np.float64)
        ends = np.zeros((2, self.num_envs), np.bool_)
        index = 0
        try:
            for index, (game, action) in enumerate(zip(self._games, actions.tolist(), strict=True)):
                if self._resting[index]:
                    observations[index] = self._last[index]
                elif self._over[index]:
                    observations[index], self._over[index] = game.reset()[0], False
                else:
                    observations[index], rewards[index], over, cut, _ = game.step(action)
                    if over or cut:
                        ends[0, index], ends[1, index] = over, cut
                        self._over[index] = True
        except Exception as error:
            raise SimulatorError(index) from error
        self._last = observations
        return observations, rewards, ends[0], ends[1]

    def pictures(self) -> Array:
        """The cells in colours: [B, 240, 240, 3] uint8."""
        return np.stack([game.render() for game in self._games])

    def rest(self, resting: Array) -> None:
        """Leave these alone."""
        self._resting = [bool(one) for one in resting]

    def close(self) -> None:
        """Nothing to close."""


def build_minatar(task: TaskSpec) -> tuple[MinAtarGame, int, tuple[str, ...]]:
    """A new game, its step limit, and notes.

    Raises:
        TaskError: there is no such game.
        SettingError: a setting is unknown or out of range.
        MissingExtraError: minatar is not installed.
    """
    if task.id not in IDS:
        raise TaskError(
            f"MinAtar has no task {task.id!r}.{did_you_mean(task.id, IDS)} It has "
            f"{', '.join(GAMES)}, as in {IDS[0]} (v1: the actions that the game uses; v0: all six)"
        )
    settings = _settings(task.id, task.env_kwargs)
    limit, notes = resolve_limit(task.max_episode_steps, None)
    ramping = "difficulty rises" if settings.difficulty_ramping else "difficulty stays"
    return (
        MinAtarGame(task.id, settings, limit),
        limit,
        (f"sticky actions {settings.sticky_action_prob:g}; {ramping}", *notes),
    )


def open_minatar(task: TaskSpec, num_envs: int, seed: int) -> Opened:
    """Make the task with minatar; env i is seeded seed + i.

    Raises:
        TaskError, SettingError, MissingExtraError: as build_minatar.
    """
    del seed  # a reset brings it
    made = [build_minatar(task) for _ in range(num_envs)]
    _, limit, notes = made[0]
    simulator = MinAtarSimulator([game for game, _, _ in made])
    return Opened(
        simulator=simulator,
        task_id=task.id,
        backend="minatar",
        max_episode_steps=limit,
        equal_starts=True,
        notes=notes,
        shows={PIXELS: simulator.pictures},
    )


def is_installed() -> bool:
    """Whether minatar can be imported, without importing it."""
    return importlib.util.find_spec("minatar") is not None


def _settings(task_id: str, given: Mapping[str, Any]) -> MinAtarSettings:
    known = list(MinAtarSettings.__dataclass_fields__)
    for name in given:
        if name not in known:
            raise SettingError(
                f"{task_id} has no setting {name!r}.{did_you_mean(name, known)} "
                f"MinAtar's tasks take {', '.join(known)}"
            )
    return MinAtarSettings(**given)


@contextmanager
def _without_remarks() -> Generator[None]:
    """minatar remarks at its import that it could not draw without seaborn; nothing is drawn."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
