"""Mdp: a finite episodic decision problem, checked when it is made.

S states, A actions, B effects (different things that actions do; a padded world has A > B), K
outcomes per state and effect. Terminal states are not states here: an outcome whose successor is
END ends the episode, and everything after it is worth 0.

Discounting by gamma is the same as ending the episode with chance 1 - gamma after every step; so
there is no gamma anywhere in the lab, only `discounted`.
"""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from rldistill.errors import NotFiniteError, SettingError, ShapeError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

END: Final = -1
# Sums of chances may be off by this much; they are used as given.
TOLERANCE: Final = 1e-9
# Where the operating system does not tell how much memory there is.
ASSUMED_MEMORY: Final = 4 * 2**30


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Mdp:
    """A finite episodic Markov decision process.

    Attributes:
        name: for messages.
        start: [S] chance of each first state.
        successors: [S, B, K] next state of each outcome, or END.
        chances: [S, B, K] chance of each outcome; sums to 1 over K.
        rewards: [S, B, K] reward of each outcome.
        effects: [A] which of the B effects each action has; usually 0, 1, ..., B - 1.

    Raises:
        ShapeError: arrays whose shapes do not belong together.
        NotFiniteError: a reward that is NaN or infinite.
        SettingError: chances that are not chances, successors that do not exist, a state from
            which no action sequence ends the episode, or more states than memory allows.
    """

    name: str
    start: FloatArray
    successors: IntArray
    chances: FloatArray
    rewards: FloatArray
    effects: IntArray

    def __post_init__(self) -> None:
        check_shapes(self)
        check_memory(self.name, self.num_states, self.num_effects, self.num_actions)
        if not np.isfinite(self.rewards).all():
            raise NotFiniteError(f"{self.name}: rewards must be finite, got NaN or infinity")
        check_chances(f"{self.name}: start", self.start)
        check_chances(f"{self.name}: the chances of an action's outcomes", self.chances)
        for what, values, low, count in (
            ("successors", self.successors, END, self.num_states),
            ("effects", self.effects, 0, self.num_effects),
        ):
            if values.min() < low or values.max() >= count:
                raise SettingError(
                    f"{self.name}: {what} must lie in [{low}, {count - 1}], got "
                    f"{values.min()} to {values.max()}"
                )
        stuck = states_without_end(self.transitions.sum(axis=1), self.ends.sum(axis=1))
        if stuck.any():
            raise SettingError(
                f"{self.name}: the episode never ends from state {int(np.argmax(stuck))}; give "
                "some outcome there the successor END, or use discounted()"
            )

    @property
    def num_states(self) -> int:
        """S."""
        return int(self.start.shape[0])

    @property
    def num_effects(self) -> int:
        """B, at most num_actions."""
        return int(self.chances.shape[1])

    @property
    def num_actions(self) -> int:
        """A."""
        return int(self.effects.shape[0])

    @cached_property
    def transitions(self) -> FloatArray:
        """P(s' | s, b) [S, B, S]; what is missing to 1 ends the episode."""
        num_states, num_effects = self.num_states, self.num_effects
        dense = np.zeros((num_states, num_effects, num_states + 1))
        state = np.arange(num_states)[:, None, None]
        effect = np.arange(num_effects)[None, :, None]
        # END is -1: it falls into the extra last column, which is dropped.
        np.add.at(dense, (state, effect, self.successors), self.chances)
        return np.ascontiguousarray(dense[:, :, :-1])

    @cached_property
    def ends(self) -> FloatArray:
        """Chance that the episode ends [S, B]."""
        return np.where(self.successors == END, self.chances, 0.0).sum(axis=2)

    @cached_property
    def mean_rewards(self) -> FloatArray:
        """E[r | s, b] [S, B]."""
        return (self.chances * self.rewards).sum(axis=2)


def from_tables(name: str, start: FloatArray, transitions: FloatArray, rewards: FloatArray) -> Mdp:
    """An Mdp from dense tables.

    Args:
        name: for messages.
        start: [S] chance of each first state.
        transitions: [S, A, S]; what a row lacks to 1 ends the episode.
        rewards: [S, A], received whatever the outcome.

    Raises:
        ShapeError: the tables do not belong together.
        SettingError: a row is no distribution, an episode never ends, or memory does not suffice.
        NotFiniteError: a reward is NaN or infinite.

    >>> bandit = from_tables("bandit", np.ones(1), np.zeros((1, 2, 1)), np.array([[0.0, 1.0]]))
    >>> bandit.num_states, bandit.num_actions, bandit.ends.tolist()
    (1, 2, [[1.0, 1.0]])
    """
    if transitions.ndim != 3 or transitions.shape[0] != transitions.shape[2]:
        raise ShapeError(f"{name}: transitions must be [S, A, S], got {transitions.shape}")
    num_states, num_actions, _ = transitions.shape
    if rewards.shape != (num_states, num_actions):
        raise ShapeError(
            f"{name}: rewards must be [S, A] = {(num_states, num_actions)}, got {rewards.shape}"
        )
    check_memory(name, num_states, num_actions, num_actions)
    ends = 1.0 - transitions.sum(axis=2, keepdims=True)
    # A row that sums to 1 up to rounding does not end; one that is over 1 is refused by Mdp.
    ends[np.abs(ends) < TOLERANCE] = 0.0
    shape = (num_states, num_actions, num_states + 1)
    successors = np.broadcast_to(np.append(np.arange(num_states), END), shape)
    return Mdp(
        name=name,
        start=start,
        successors=successors.astype(np.int64),
        chances=np.concatenate([transitions, ends], axis=2),
        rewards=np.broadcast_to(rewards[:, :, None], shape).copy(),
        effects=np.arange(num_actions),
    )


def discounted(mdp: Mdp, gamma: float) -> Mdp:
    """The same problem, which also ends with chance 1 - gamma after each step.

    Undiscounted values of the result are the gamma-discounted values of mdp, and its visits are
    discounted visits: the reward of the step itself is still received.

    Raises:
        SettingError: gamma outside (0, 1].
    """
    if not 0.0 < gamma <= 1.0:
        raise SettingError(f"gamma must lie in (0, 1], got {gamma}")
    killed = np.full_like(mdp.successors, END)
    return replace(
        mdp,
        successors=np.concatenate([mdp.successors, killed], axis=2),
        chances=np.concatenate([gamma * mdp.chances, (1 - gamma) * mdp.chances], axis=2),
        rewards=np.concatenate([mdp.rewards, mdp.rewards], axis=2),
    )


def states_without_end(steps: FloatArray, ends: FloatArray) -> NDArray[np.bool_]:
    """[S] True where the end cannot be reached.

    Args:
        steps: [S, S], above 0 where a step is possible.
        ends: [S], above 0 where the episode may end at once.
    """
    can_end = ends > 0
    possible = steps > 0
    while True:
        more = can_end | possible[:, can_end].any(axis=1)
        if (more == can_end).all():
            return ~can_end
        can_end = more


def memory_limit() -> int:
    """Bytes a lab world may take: half of the machine's memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return ASSUMED_MEMORY // 2


def check_memory(name: str, num_states: int, num_effects: int, num_actions: int) -> None:
    """Refuse a world before its tables are made.

    Counted: five tables [S, B, S + 1] on the way to the transitions, three matrices [S, S] of a
    linear solve, and eight tables [S, A], all of 8 bytes per number.

    Raises:
        SettingError: they would take more than memory_limit() bytes.
    """
    states = int(num_states)
    needed = 8 * (
        5 * states * (states + 1) * num_effects + 3 * states**2 + 8 * states * num_actions
    )
    limit = memory_limit()
    if needed > limit:
        raise SettingError(
            f"{name}: {states:,} states and {num_actions:,} actions need {needed / 2**30:,.1f} GiB "
            f"to be solved exactly, and {limit / 2**30:,.1f} GiB is the limit (half of this "
            "machine's memory); make the world smaller"
        )


def check_shapes(mdp: Mdp) -> None:
    """The arrays of an Mdp belong together.

    Raises:
        ShapeError: they do not; the message has both shapes.
    """
    if mdp.start.ndim != 1 or mdp.effects.ndim != 1 or mdp.chances.ndim != 3:
        raise ShapeError(
            f"{mdp.name}: start must be [S], effects [A] and chances [S, B, K], got "
            f"{mdp.start.shape}, {mdp.effects.shape} and {mdp.chances.shape}"
        )
    if not mdp.start.size or not mdp.effects.size or not mdp.chances.size:
        raise ShapeError(f"{mdp.name}: there must be a state, an action and an outcome")
    if mdp.chances.shape[0] != mdp.start.shape[0]:
        raise ShapeError(
            f"{mdp.name}: start has {mdp.start.shape[0]} states, chances {mdp.chances.shape[0]}"
        )
    for what in ("successors", "rewards"):
        shape: tuple[int, ...] = getattr(mdp, what).shape
        if shape != mdp.chances.shape:
            raise ShapeError(
                f"{mdp.name}: {what} must have the shape {mdp.chances.shape} of chances, "
                f"got {shape}"
            )


def check_chances(what: str, chances: NDArray[Any]) -> None:
    """The last axis holds probabilities that sum to 1.

    Raises:
        SettingError: it does not.
    """
    if not np.isfinite(chances).all() or chances.min() < 0:
        raise SettingError(f"{what} must be probabilities, got {chances.min()}")
    off = np.abs(chances.sum(axis=-1) - 1.0).max()
    if off > TOLERANCE:
        raise SettingError(f"{what} must sum to 1, got a sum that is off by {off:.3g}")
