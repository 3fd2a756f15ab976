"""The stages that a view is made of, as values with a text form (docs/views.md)."""

from dataclasses import dataclass
from typing import final

PICTURE_SIDE = 84


@final
@dataclass(frozen=True, slots=True)
class Pick:
    """These entries of the first axis, in this order: indices, slices or names."""

    entries: tuple[str, ...]

    def __str__(self) -> str:
        return f"[{','.join(self.entries)}]"


@final
@dataclass(frozen=True, slots=True)
class Drop:
    """All entries of the first axis but these."""

    entries: tuple[str, ...]

    def __str__(self) -> str:
        return f"drop:{','.join(self.entries)}"


@final
@dataclass(frozen=True, slots=True)
class Keys:
    """These entries of a Dict or Tuple observation; dots reach into nested ones."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"keys:{','.join(self.names)}"


@final
@dataclass(frozen=True, slots=True)
class Noise:
    """Gaussian noise of this standard deviation; entries: on these alone, empty for all."""

    deviation: float
    entries: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"@{','.join(self.entries)}" if self.entries else ""
        return f"noise:{self.deviation!r}{where}"


@final
@dataclass(frozen=True, slots=True)
class Stack:
    """The last observations, oldest first; the first of an episode fills the places before it."""

    count: int

    def __str__(self) -> str:
        return f"stack:{self.count}"


@final
@dataclass(frozen=True, slots=True)
class Change:
    """The entries, and their differences from the step before: 0 where an episode starts."""

    def __str__(self) -> str:
        return "change"


@final
@dataclass(frozen=True, slots=True)
class PreviousAction:
    """The entries, and the action before: one-hot or as a vector, 0 where an episode starts."""

    def __str__(self) -> str:
        return "previous-action"


@final
@dataclass(frozen=True, slots=True)
class Pixels:
    """The state as the task draws it: uint8 [1 or 3, side, side]."""

    side: int = PICTURE_SIDE
    colours: bool = False

    def __str__(self) -> str:
        side = "" if self.side == PICTURE_SIDE else f":{self.side}"
        return f"pixels{side}{':rgb' if self.colours else ''}"


@final
@dataclass(frozen=True, slots=True)
class Ram:
    """The 128 bytes of an Atari game, as float32 from 0 to 255."""

    def __str__(self) -> str:
        return "ram"


@final
@dataclass(frozen=True, slots=True)
class Objects:
    """The bytes of an Atari game's memory that say where things are."""

    def __str__(self) -> str:
        return "objects"


@final
@dataclass(frozen=True, slots=True)
class Code:
    """The user's function, "module:function"; importing the module runs it."""

    function: str

    def __str__(self) -> str:
        return self.function


Stage = Pick | Drop | Keys | Noise | Stack | Change | PreviousAction | Pixels | Ram | Objects | Code
SOURCES = (Keys, Pixels, Ram, Objects)  # they look at the simulator, and so come first
