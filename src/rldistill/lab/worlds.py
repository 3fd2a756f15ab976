"""Worlds by name: a problem to look at, with a student and a teacher.

counterexample, corridor, grid, chain and random; grids as random_grid, for many of them at once in
rldistill.lab.simulate; padded for worlds with up to thousands of actions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from rldistill.errors import SettingError, did_you_mean
from rldistill.lab.exact import Problem
from rldistill.lab.grid import GridSettings, random_grid
from rldistill.lab.mdp import END, FloatArray, IntArray, Mdp, check_memory, from_tables
from rldistill.lab.solve import soft_policy, value_iteration
from rldistill.lab.student import LinearLoss, Student

# The teachers of the named worlds are softmax(Q* / temperature), with a temperature of this share
# of the range of Q*: good, and able to take every action.
TEACHER_TEMPERATURE: Final = 0.2
# After every step of a corridor or grid the episode ends with this chance (Czarnecki, appendix).
KILL: Final = 0.01


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSettings:
    """What may be asked of a named world.

    Attributes:
        seed: of what is random in it.
        size: cells of a corridor, cells along one side of a grid, states of the others; None is
            the world's own default.
        num_actions: actions, padded with copies where the world has fewer; None is its own number.
    """

    seed: int = 0
    size: int | None = None
    num_actions: int | None = None


def make_world(name: str, settings: WorldSettings | None = None) -> Problem:
    """A world by name, with its student and teacher.

    counterexample has the two parameters of Fig. 2 (one shared by two states); the others have one
    parameter per state and action.

    Raises:
        SettingError: an unknown name, a size that does not fit, or more states than memory allows.

    >>> make_world("counterexample").student.num_parameters
    2
    """
    if name not in WORLDS:
        raise SettingError(
            f"unknown world {name!r}; known: {', '.join(WORLDS)}.{did_you_mean(name, WORLDS)}"
        )
    return WORLDS[name](settings or WorldSettings())


def counterexample_world(settings: WorldSettings) -> Problem:
    """Fig. 2 of Czarnecki et al. 2019: distillation with a reward that runs in circles.

    s0 -L-> sL, s0 -R-> sR. sL: L pays -1, R -2; sR: L pays 0, R -3; then the episode ends.
    theta = (a, b): pi(R | s0) = sigmoid(a), pi(R | sL) = pi(R | sR) = sigmoid(b).
    The teacher takes R in sR with chance 0.98 and is undecided elsewhere.

    Raises:
        SettingError: a size or a number of actions is given.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), figure 2.
    """
    if settings.size is not None or settings.num_actions is not None:
        raise SettingError("the counterexample has 3 states and 2 actions; give no size or actions")
    transitions = np.zeros((3, 2, 3))
    transitions[0, 0, 1] = transitions[0, 1, 2] = 1.0
    rewards = np.array([[0.0, 0.0], [-1.0, -2.0], [0.0, -3.0]])
    features = np.zeros((3, 2, 2))
    features[0, 1, 0] = features[1, 1, 1] = features[2, 1, 1] = 1.0
    return Problem(
        mdp=from_tables("counterexample", np.array([1.0, 0.0, 0.0]), transitions, rewards),
        teacher=np.array([[0.5, 0.5], [0.5, 0.5], [0.02, 0.98]]),
        student=Student(3, 2, features),
    )


def figure2_loss(problem: Problem) -> LinearLoss:
    """The loss the paper draws in Fig. 2: l = -4 pi_theta(R | sR), and 0 in the other states.

    Raises:
        SettingError: another world than the counterexample.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), figure 2.
    """
    if problem.mdp.name != "counterexample":
        raise SettingError(
            f"the loss figure2 is defined in the counterexample, not in {problem.mdp.name}"
        )
    weights = np.zeros((3, 2))
    weights[2, 1] = -4.0
    return LinearLoss(weights)


def corridor_world(settings: WorldSettings) -> Problem:
    """A row of cells, +1 and the end at the right, -1 and the end at the left, start in the middle.

    Actions left and right; the episode ends with chance 0.01 after every step. The paper does not
    say how long it is: 19 cells is a guess, from the values that its Fig. 6 shows for the best
    policy (0.95; here 0.91) and for TD + V_0 (0.35; here 0.35).

    Raises:
        SettingError: fewer than 3 cells, or more than memory allows.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), figure 6 and appendix.
    """
    cells = size_of("corridor", settings, default=19, least=3)
    check_memory("corridor", cells - 2, 2, 2)
    inner = np.arange(cells - 2)
    successors = np.stack([inner - 1, inner + 1], axis=1)
    successors[-1, 1] = END  # the left end is -1 = END already
    rewards = np.zeros((cells - 2, 2))
    rewards[0, 0], rewards[-1, 1] = -1.0, 1.0
    start = np.zeros(cells - 2)
    start[(cells - 2) // 2] = 1.0
    return with_teacher(killed("corridor", start, successors, rewards), settings)


def killed(name: str, start: FloatArray, successors: IntArray, rewards: FloatArray) -> Mdp:
    """A deterministic world [S, A] that ends with chance KILL instead of each step, reward 0."""
    ends = np.full_like(successors, END)
    chances = np.full(successors.shape, 1.0 - KILL)
    return Mdp(
        name=name,
        start=start,
        successors=np.stack([successors, ends], axis=2),
        chances=np.stack([chances, 1.0 - chances], axis=2),
        rewards=np.stack([rewards, np.zeros_like(rewards)], axis=2),
        effects=np.arange(successors.shape[1]),
    )


def grid_world(settings: WorldSettings) -> Problem:
    """One random grid world; see rldistill.lab.grid.

    Raises:
        SettingError: a side below 2, or more cells than memory allows.
    """
    side = size_of("grid", settings, default=20, least=2)
    rng = np.random.default_rng(settings.seed)
    return with_teacher(random_grid(rng, GridSettings(side=side)), settings)


def chain_world(settings: WorldSettings) -> Problem:
    """Leave (action 0) with 0.3 at once, or go on (action 1): after the last state waits 1.

    Going on fails with chance 0.1, which ends the episode with nothing. With one state it is a
    bandit.

    Raises:
        SettingError: no state, or more states than memory allows.
    """
    num_states = size_of("chain", settings, default=5, least=1)
    check_memory("chain", num_states, 2, 2)
    transitions = np.zeros((num_states, 2, num_states))
    transitions[np.arange(num_states - 1), 1, np.arange(1, num_states)] = 0.9
    rewards = np.zeros((num_states, 2))
    rewards[:, 0] = 0.3
    rewards[-1, 1] = 0.9
    start = np.zeros(num_states)
    start[0] = 1.0
    return with_teacher(from_tables("chain", start, transitions, rewards), settings)


def random_world(settings: WorldSettings) -> Problem:
    """A random Mdp with a uniformly drawn teacher policy; see random_mdp.

    Raises:
        SettingError: no state, no action, or more of them than memory allows.
    """
    num_states = size_of("random", settings, default=5, least=1)
    num_actions = 3 if settings.num_actions is None else settings.num_actions
    if num_actions < 1:
        raise SettingError(f"random: there must be at least 1 action, got {num_actions}")
    rng = np.random.default_rng(settings.seed)
    mdp = random_mdp(rng, num_states, num_actions)
    teacher = rng.dirichlet(np.ones(num_actions), size=num_states)
    return Problem(mdp=mdp, teacher=teacher, student=Student(num_states, num_actions))


def random_mdp(rng: np.random.Generator, num_states: int, num_actions: int) -> Mdp:
    """A random Mdp without structure.

    Start and successors are drawn from a flat Dirichlet distribution, every step ends the episode
    with a chance from [0.1, 0.5] of its own, and rewards are standard normal.

    Raises:
        SettingError: more states and actions than memory allows.
    """
    check_memory("random", num_states, num_actions, num_actions)
    shape = (num_states, num_actions)
    stays = 1.0 - rng.uniform(0.1, 0.5, size=shape)
    return from_tables(
        "random",
        rng.dirichlet(np.ones(num_states)),
        stays[:, :, None] * rng.dirichlet(np.ones(num_states), size=shape),
        rng.standard_normal(shape),
    )


def pad_with_copies(mdp: Mdp, num_actions: int) -> Mdp:
    """The same world with num_actions actions: action a does what action a mod A did.

    How the paper's worlds with 40 to 4,000 actions were padded is not known. With copies the
    uniform policy keeps its value, as the lower line of Fig. 4 does, and what grows is the number
    of actions to choose between: the variance of what is learnt from a sampled one.

    Raises:
        SettingError: fewer actions than the world has, or more than memory allows.
    """
    own = mdp.num_actions
    if num_actions < own:
        raise SettingError(f"{mdp.name} has {own} actions already, got {num_actions}; give more")
    check_memory(mdp.name, mdp.num_states, mdp.num_effects, num_actions)
    return replace(mdp, effects=mdp.effects[np.arange(num_actions) % own])


def with_teacher(mdp: Mdp, settings: WorldSettings) -> Problem:
    """A tabular student, and softmax(Q* / temperature) as teacher.

    Raises:
        SettingError: fewer actions than the world has, or more than memory allows.
    """
    if settings.num_actions is not None:
        mdp = pad_with_copies(mdp, settings.num_actions)
    table = value_iteration(mdp).action_values
    spread = float(np.ptp(table)) or 1.0
    return Problem(
        mdp=mdp,
        teacher=soft_policy(table, TEACHER_TEMPERATURE * spread),
        student=Student(mdp.num_states, mdp.num_actions),
    )


def size_of(name: str, settings: WorldSettings, *, default: int, least: int) -> int:
    """The asked size, or the default.

    Raises:
        SettingError: below the least.
    """
    size = default if settings.size is None else settings.size
    if size < least:
        raise SettingError(f"{name}: the size must be at least {least}, got {size}")
    return size


WORLDS: dict[str, Callable[[WorldSettings], Problem]] = {
    "counterexample": counterexample_world,
    "corridor": corridor_world,
    "grid": grid_world,
    "chain": chain_world,
    "random": random_world,
}
