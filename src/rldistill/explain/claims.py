"""Claims about what a policy does: never these actions, or always one of those."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.core import Head
from rldistill.envs.naming import TaskNames
from rldistill.errors import SettingError
from rldistill.explain.actions import is_discrete
from rldistill.explain.boxes import LARGEST, above, below
from rldistill.explain.conditions import Condition, read_conditions

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True)
class Claim:
    """What must not happen.

    Attributes:
        words: the claim as a sentence.
        actions: indices of discrete actions that break it.
        ranges: for continuous actions: each one breaks it where its dimension lies inside.
    """

    words: str
    actions: frozenset[int] = frozenset()
    ranges: tuple[Condition, ...] = ()

    def broken_by(self, actions: Array) -> Array:
        """Which of these actions, int [B] or float32 [B, D], break it: bool [B]."""
        if actions.ndim == 1:
            return np.isin(actions, sorted(self.actions))
        broken = np.zeros(len(actions), bool)
        for one in self.ranges:
            values = actions[:, one.index]
            broken |= (values >= one.low) & (values <= one.high)
        return broken


def read_claim(
    never: Sequence[str], always: Sequence[str], names: TaskNames, head: Head
) -> Claim | None:
    """The claim that these words make; None where there are none.

    Args:
        never: actions by name or index; for continuous actions conditions: "torque > 0.5".
        always: the same; several actions mean: always one of them. Several conditions: all of them.
        names: of the task.
        head: of the policy.

    Raises:
        SettingError: both are given, an action is unknown, or the claim cannot be broken.
    """
    if not never and not always:
        return None
    if never and always:
        raise SettingError("a claim is `never` or `always`, not both: ask one after the other")
    what = "never" if never else "always"
    words = f"{what} {' or '.join(never) if never else ' or '.join(always)}"
    if not is_discrete(head):
        ranges = _never(never, names) if never else _always(always, names)
        return Claim(words.replace(" or ", " and ") if always else words, ranges=ranges)
    given = frozenset(names.action(text) for text in (never or always))
    actions = given if never else frozenset(range(len(names.actions))) - given
    if not actions:
        raise SettingError("always one of all actions: no policy can do anything else")
    spelt = " or ".join(names.actions[index] for index in sorted(given))
    return Claim(f"{what} {spelt}", actions=actions)


def _never(texts: Sequence[str], names: TaskNames) -> tuple[Condition, ...]:
    """The intervals that these conditions forbid, one each."""
    found: list[Condition] = []
    for text in texts:
        parts = read_conditions(text, names.action)
        if len({part.index for part in parts}) > 1:
            raise SettingError(
                f"never {text!r:.80}: one action dimension at a time; give each its own claim"
            )
        low, high = max(part.low for part in parts), min(part.high for part in parts)
        if low > high:
            raise SettingError(f"never {text!r:.80}: no action is like that")
        found.append(Condition(parts[0].index, low, high, text))
    return tuple(found)


def _always(texts: Sequence[str], names: TaskNames) -> tuple[Condition, ...]:
    """The intervals outside of what these conditions allow."""
    found: list[Condition] = []
    for part in [one for text in texts for one in read_conditions(text, names.action)]:
        if float(part.low) > -LARGEST:
            under = below(float(part.low), strict=True)
            found.append(Condition(part.index, np.float32(-LARGEST), under, part.words))
        if float(part.high) < LARGEST:
            over = above(float(part.high), strict=True)
            found.append(Condition(part.index, over, np.float32(LARGEST), part.words))
    return tuple(found)
