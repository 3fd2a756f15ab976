"""Random grid worlds (Czarnecki et al. 2019, appendix; facts as far as they are known)."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from rldistill.errors import SettingError
from rldistill.lab.mdp import END, FloatArray, IntArray, Mdp, check_memory

# Row and column of left, right, up, down.
MOVES: Final = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])
TERMINAL_REWARDS: Final = (10.0, 5.0, -5.0, -10.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GridSettings:
    """The distribution over grids.

    The shares of walls and rewards in the paper are not known to us. These are a GUESS that fits
    the one map it prints (400 cells: 35 walls, 41 cells of -1, terminals +10 x3, +5 x2, -5 x4,
    -10 x6).

    Attributes:
        side: cells along one side.
        noise: eta; with this chance the move goes in one of the four directions at random.
        kill: chance after every action that the episode ends in place of the move, with reward 0.
        wall: chance that a cell is a wall (guess).
        terminal: chance of each of the rewards +10, +5, -5, -10 that end the episode (guess).
        penalty: chance of a reward of -1 that does not end the episode (guess).
    """

    side: int = 20
    noise: float = 0.1
    kill: float = 0.01
    wall: float = 0.1
    terminal: float = 0.01
    penalty: float = 0.1

    def __post_init__(self) -> None:
        chances = (self.noise, self.kill, self.wall, self.terminal, self.penalty)
        if not all(0.0 <= chance <= 1.0 for chance in chances):
            raise SettingError(f"the chances of a grid must lie in [0, 1], got {self}")
        if self.side < 2:
            raise SettingError(f"a grid must have at least 2 cells along a side, got {self.side}")
        if self.kill == 0:
            raise SettingError("kill must be above 0: a walled-in agent would walk for ever")


def random_grid(rng: np.random.Generator, settings: GridSettings | None = None) -> Mdp:
    """A grid world drawn at random.

    The start is the centre cell, which stays free. Actions: left, right, up, down. A move into a
    wall or off the grid leaves the agent where it is. A cell's reward is received on every
    arrival, also where the move left the agent in place. States are the free cells that do not end
    the episode, in raster order.

    Raises:
        SettingError: more states than memory allows.
    """
    settings = settings or GridSettings()
    check_memory("grid", settings.side**2, len(MOVES), len(MOVES))
    rewards, ends, walls = draw_cells(rng, settings)
    return grid_from_cells(rewards, ends, walls, settings)


def draw_cells(
    rng: np.random.Generator, settings: GridSettings
) -> tuple[FloatArray, np.ndarray, np.ndarray]:
    """Rewards, ends and walls [side, side].

    Cells are visited in raster order; for each the kinds are tried in the order wall, +10, +5, -5,
    -10, -1, and the first that comes up is kept (the rule "stop if modified" of the paper).
    """
    side = settings.side
    trials = [settings.wall] + [settings.terminal] * len(TERMINAL_REWARDS) + [settings.penalty]
    came_up = rng.random((side, side, len(trials))) < np.array(trials)
    came_up[side // 2, side // 2] = False
    kind = np.where(came_up.any(axis=2), came_up.argmax(axis=2), len(trials))
    rewards = np.array([0.0, *TERMINAL_REWARDS, -1.0, 0.0])[kind]
    return rewards, (kind >= 1) & (kind <= len(TERMINAL_REWARDS)), kind == 0


def grid_from_cells(
    rewards: FloatArray, ends: np.ndarray, walls: np.ndarray, settings: GridSettings
) -> Mdp:
    """The Mdp of a drawn map; the start is the centre.

    Args:
        rewards: [side, side], received on arrival.
        ends: [side, side] bool; arriving there ends the episode.
        walls: [side, side] bool.
        settings: noise and kill.
    """
    side = settings.side
    cells = np.argwhere(~walls & ~ends)
    number = np.full((side, side), END)
    number[cells[:, 0], cells[:, 1]] = np.arange(len(cells))
    arrival = arrivals(cells, walls)
    successors = number[arrival[..., 0], arrival[..., 1]]
    gained = rewards[arrival[..., 0], arrival[..., 1]]
    # Outcomes: the four directions, then the end. [S, 4] becomes [S, A, K].
    num_states, num_moves = successors.shape
    shape = (num_states, num_moves, num_moves + 1)
    with_end: IntArray = np.concatenate([successors, np.full((num_states, 1), END)], axis=1)
    with_zero = np.concatenate([gained, np.zeros((num_states, 1))], axis=1)
    start = np.zeros(num_states)
    start[number[side // 2, side // 2]] = 1.0
    return Mdp(
        name="grid",
        start=start,
        successors=np.broadcast_to(with_end[:, None, :], shape).copy(),
        chances=np.broadcast_to(direction_chances(settings), shape).copy(),
        rewards=np.broadcast_to(with_zero[:, None, :], shape).copy(),
        effects=np.arange(num_moves),
    )


def arrivals(cells: IntArray, walls: np.ndarray) -> IntArray:
    """Where each move leads [S, 4, 2] from cells [S, 2]."""
    side = walls.shape[0]
    there = cells[:, None, :] + MOVES[None]
    inside = ((there >= 0) & (there < side)).all(axis=2)
    clipped = there.clip(0, side - 1)
    free = inside & ~walls[clipped[..., 0], clipped[..., 1]]
    return np.where(free[..., None], there, cells[:, None, :])


def direction_chances(settings: GridSettings) -> FloatArray:
    """Chance of each outcome (four directions, end) of each action [4, 5]."""
    count = len(MOVES)
    moves = (1 - settings.noise) * np.eye(count) + settings.noise / count
    end = np.full((count, 1), settings.kill)
    return np.concatenate([(1 - settings.kill) * moves, end], axis=1)
