"""What comes out of a stage of a view, and which of its entries a text means."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.envs.features import Feature
from rldistill.errors import SettingError, did_you_mean

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """What comes out of a stage.

    Attributes:
        space: of one observation: flat float32, or uint8 pixels.
        features: one for each number of a flat observation; empty for pixels.
    """

    space: spaces.Box
    features: tuple[Feature, ...] = ()

    @property
    def is_flat(self) -> bool:
        """Whether observations are rows of numbers."""
        return len(self.space.shape) == 1

    @property
    def axis(self) -> int:
        """The axis of a batch along which entries lie: numbers, or the channels of pixels."""
        shape = self.space.shape
        return len(shape) if len(shape) == 3 and shape[-1] < shape[0] else 1

    def along(self, index: Sequence[int]) -> "Seen":
        """Some of the entries."""
        low, high = (b.take(index, self.axis - 1) for b in (self.space.low, self.space.high))
        features = tuple(self.features[i] for i in index) if self.features else ()
        return Seen(box(low, high), features)


def resolve(entries: Sequence[str], seen: Seen, stage: str) -> list[int]:
    """The indices that entries mean: whole numbers, slices, or names of features.

    Raises:
        SettingError: one lies outside, is no name, or is named twice.
    """
    size = seen.space.shape[seen.axis - 1]
    found = [i for entry in entries for i in _indices(entry, size, seen.features, stage)]
    twice = next((i for i in found if found.count(i) > 1), None)
    if twice is not None:
        raise SettingError(f"view: {stage} names entry {twice} twice")
    return found


def _indices(entry: str, size: int, features: tuple[Feature, ...], stage: str) -> Sequence[int]:
    parts = entry.split(":")
    whole = [part.strip().removeprefix("-").isdecimal() and len(part) < 10 for part in parts]
    if len(parts) == 1 and whole[0]:
        return [_inside(int(entry), size, stage)]
    if len(parts) in (2, 3) and all(
        is_whole or not part.strip() for is_whole, part in zip(whole, parts, strict=True)
    ):
        given = [int(part) if part.strip() else None for part in parts]
        for bound in given[:2]:
            if bound is not None and not -size <= bound <= size:
                raise _outside(entry, size, stage)
        if given[2:] == [0]:
            raise SettingError(f"view: {stage} has a slice of step 0")
        chosen = range(size)[slice(*given)]
        if not chosen:
            raise SettingError(f"view: {stage}: the slice {entry} holds nothing of {size} entries")
        return chosen
    names = [one.name.lower() for one in features]
    if names.count(entry.lower()) == 1:
        return [names.index(entry.lower())]
    starting = [i for i, name in enumerate(names) if name.rpartition(".")[0] == entry.lower()]
    if starting:  # a part of a Dict observation: all its numbers
        return starting
    known = [one.name for one in features]
    raise SettingError(
        f"view: {stage}: no entry {entry!r:.60} among {size} (by index from 0, slice or name)."
        f"{did_you_mean(entry, known)}"
    )


def _inside(index: int, size: int, stage: str) -> int:
    if not -size <= index < size:
        raise _outside(str(index), size, stage)
    return index % size


def _outside(entry: str, size: int, stage: str) -> SettingError:
    return SettingError(
        f"view: {stage}: {entry} lies outside, there are {size} entries, 0 to {size - 1}"
    )


def require_flat(stage: str, seen: Seen) -> None:
    """Refuse pixels.

    Raises:
        SettingError: observations are pixels.
    """
    if not seen.is_flat:
        raise SettingError(
            f"view: {stage} takes rows of numbers, these are pixels {seen.space.shape}; "
            "stack:4 is what gives pixels a past"
        )


def named_back(feature: Feature, steps: int) -> Feature:
    """The name of a number as it was so many steps ago.

    >>> named_back(Feature("x", "m"), 1).heading, named_back(Feature("x"), 0).name
    ('x, 1 step before [m]', 'x')
    """
    if steps == 0:
        return feature
    return replace(feature, name=f"{feature.name}, {steps} step{'s' * (steps > 1)} before")


def box(low: Array, high: Array) -> spaces.Box:
    """The space of these bounds."""
    kind = np.uint8 if low.dtype == np.uint8 else np.float32
    return spaces.Box(low.astype(kind), high.astype(kind), dtype=kind)
