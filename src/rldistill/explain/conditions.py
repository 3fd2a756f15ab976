"""Conditions in words: "pole angle < -0.1", "0 < x <= 3", about observations or about actions."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from rldistill.errors import SettingError
from rldistill.explain.boxes import LARGEST, Box, above, below

_SIGNS = re.compile(r"(<=|>=|==|<|>|=)")
_AND = re.compile(r"\s+and\s+|;")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
LONGEST = 1000


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """One number lies in a closed interval of float32 numbers.

    Attributes:
        index: which feature, or which dimension of an action.
        low: float32.
        high: float32; below low where nothing fulfils it.
        words: as it was given.
    """

    index: int
    low: np.float32
    high: np.float32
    words: str


def read_conditions(text: str, find: Callable[[str], int]) -> list[Condition]:
    """Read conditions that are joined by "and" or semicolons.

    Args:
        text: NAME SIGN NUMBER, NUMBER SIGN NAME, or NUMBER SIGN NAME SIGN NUMBER, signs among
            < <= > >= =; the name of a feature or its index.
        find: from a name to its index.

    Raises:
        SettingError: the text is none, its name is unknown, or its number is not finite.

    >>> [one.index for one in read_conditions("0 < 3 <= 1 and 2 > 0.5", int)]
    [3, 3, 2]
    """
    if len(text) > LONGEST:
        raise SettingError(f"condition {text[:40]!r}...: at most {LONGEST} letters")
    return [one for part in _AND.split(text) for one in _read(part.strip(), find)]


def box_of(conditions: Sequence[Condition], whole: Box) -> Box:
    """The part of a box where all conditions hold; it may be empty."""
    low, high = whole.low.copy(), whole.high.copy()
    for one in conditions:
        low[one.index] = max(low[one.index], one.low)
        high[one.index] = min(high[one.index], one.high)
    return Box(low, high)


def _read(text: str, find: Callable[[str], int]) -> list[Condition]:
    words = [word.strip() for word in _SIGNS.split(text)]
    words = ["=" if word == "==" else word for word in words]
    if "" in words or len(words) not in (3, 5):
        raise SettingError(
            f"condition {text!r:.80} must be like 'pole angle < -0.1' or '0 <= speed <= 1', "
            "with a name or an index, and a number"
        )
    if len(words) == 5:
        low, sign, name, other, high = words
        if "=" in (sign, other) or sign[0] != other[0]:
            raise SettingError(f"condition {text!r:.80}: both signs must point the same way")
        pairs = [(_MIRRORED[sign], low), (other, high)]
    else:
        first, sign, last = words
        # "2 < 0.5" is feature 2: an index stands on the left, unless only the right is a name.
        turned = _is_number(first) and not _is_number(last)
        name, pairs = (last, [(_MIRRORED[sign], first)]) if turned else (first, [(sign, last)])
    index = find(name)
    return [_bound(index, sign, _number(number, text), text) for sign, number in pairs]


def _bound(index: int, sign: str, number: float, words: str) -> Condition:
    low, high = np.float32(-LARGEST), np.float32(LARGEST)
    if sign == "=":
        low = high = np.float32(number)
    elif sign[0] == "<":
        high = below(number, strict=sign == "<")
    else:
        low = above(number, strict=sign == ">")
    return Condition(index, low, high, words)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise SettingError(f"condition {where!r:.80}: {text!r:.40} is not a number") from None
    if not math.isfinite(number) or abs(number) > float(LARGEST):
        raise SettingError(
            f"condition {where!r:.80}: bounds must be finite float32 numbers; leave a bound out "
            "where there is none"
        )
    return number
