"""Views: what a policy sees of a simulator's step, as a value with a text form.

A view is a pipeline of stages, joined by "+" (or "|", which a shell needs quoted):

    [0,1,4:6] or 0,1,4:6    these entries, by index or name; slices as Python has them
    drop:2,3                all entries but these
    keys:position,goal      these entries of a Dict or Tuple observation, in this order
    noise:0.1               Gaussian noise of this deviation; noise:0.1@0,2 on some entries alone
    stack:4                 the last 4 observations, oldest first
    change                  the entries, and behind them how they changed since the step before
    previous-action         the entries, and behind them the action before
    pixels                  the state drawn, 84 x 84 grey; pixels:64, pixels:rgb, pixels:64:rgb
    ram                     the 128 bytes of an Atari game, 0 to 255
    objects                 where the things of an Atari game are, for the games that are known
    module:function         the user's own code: observations [B, ...] -> observations [B, ...]
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self, final

from rldistill.envs.view_stages import (
    PICTURE_SIDE,
    SOURCES,
    Change,
    Code,
    Drop,
    Keys,
    Noise,
    Objects,
    Pick,
    Pixels,
    PreviousAction,
    Ram,
    Stack,
    Stage,
)
from rldistill.errors import SettingError, did_you_mean

_LARGEST_SIDE = 512
_DEEPEST_STACK = 64
_BARE_PICK = re.compile(r"[-\d:,\s]+")
_CODE = re.compile(r"(?:py:)?([A-Za-z_][\w.]*:[A-Za-z_][\w.]*)")


@final
@dataclass(frozen=True, slots=True)
class View:
    """What a policy sees: the stages through which each observation goes.

    Raises:
        SettingError: no stage, a source that is not the first, or two of them.

    >>> view = View.parse("keys:position,goal + drop:2 + stack:4")
    >>> str(view), view.runs_code
    ('keys:position,goal+drop:2+stack:4', False)
    """

    stages: tuple[Stage, ...]
    example: ClassVar[str] = '"[0,1,4:6]", keys:position,goal or noise:0.1+stack:4'

    def __post_init__(self) -> None:
        if not self.stages:
            raise SettingError(f"a view needs at least one stage, for example {self.example}")
        for stage in self.stages[1:]:
            if isinstance(stage, SOURCES):
                raise SettingError(
                    f"view {self}: {stage} looks at the simulator itself, so it must come first "
                    "and there can be only one such stage"
                )

    @classmethod
    def parse(cls, text: str, name: str = "view") -> Self:
        """The view that a text means.

        Args:
            text: stages joined by "+" or "|"; the module's docstring lists them.
            name: of the setting, for errors.

        Raises:
            SettingError: a stage is unknown, or its argument is not of its form.

        >>> str(View.parse("0,1,4:6 | noise:0.10"))
        '[0,1,4:6]+noise:0.1'
        """
        try:
            return cls(tuple(_stage(part) for part in re.split(r"[+|]", text)))
        except SettingError as error:
            raise SettingError(f"{name} {text!r:.100}: {error}") from None

    def __str__(self) -> str:
        return "+".join(map(str, self.stages))

    @property
    def runs_code(self) -> bool:
        """Whether the user's own code is part of it."""
        return any(isinstance(stage, Code) for stage in self.stages)

    @property
    def draws(self) -> bool:
        """Whether the task must draw its states."""
        return isinstance(self.stages[0], Pixels)

    @property
    def reads_memory(self) -> bool:
        """Whether the memory of an Atari game is read."""
        return isinstance(self.stages[0], (Ram, Objects))


def text_of(view: View | None) -> str | None:
    """The text of a view, None for none.

    >>> text_of(View((Ram(),))), text_of(None)
    ('ram', None)
    """
    return None if view is None else str(view)


def _stage(text: str) -> Stage:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return Pick(_entries(text[1:-1]))
    if _BARE_PICK.fullmatch(text):
        return Pick(_entries(text))
    word, colon, argument = text.partition(":")
    word = word.strip().lower()
    if word in _FORMS:
        return _FORMS[word](argument.strip() if colon else None)
    if found := _CODE.fullmatch(text):
        return Code(found[1])
    known = [*_FORMS, "MODULE:FUNCTION"]
    raise SettingError(
        f"no stage {text!r:.60}.{did_you_mean(word, _FORMS)} Stages are [ENTRIES], "
        f"{', '.join(known)}; docs/views.md says what they do"
    )


def _entries(text: str) -> tuple[str, ...]:
    found = tuple(entry.strip() for entry in text.split(","))
    if not all(found):
        raise SettingError(
            f"entries must be indices, slices or names with commas between, as in 0,1,4:6; "
            f"got {text!r:.60}"
        )
    return found


def _given(word: str, argument: str | None, example: str) -> str:
    if not argument:
        raise SettingError(f"{word} needs an argument, as in {word}:{example}")
    return argument


def _alone(word: str, stage: Stage) -> Callable[[str | None], Stage]:
    def read(argument: str | None) -> Stage:
        if argument is not None:
            raise SettingError(f"{word} takes no argument; got {argument!r:.60}")
        return stage

    return read


def _noise(argument: str | None) -> Noise:
    number, at, where = _given("noise", argument, "0.1").partition("@")
    try:
        deviation = float(number)
    except ValueError:
        deviation = -1.0
    if not 0.0 < deviation < float("inf"):
        raise SettingError(
            f"noise needs a standard deviation above 0, as in noise:0.1 or noise:0.1@0,2; got "
            f"{number!r:.60}" + (" (0 has no effect: leave it out)" if deviation == 0 else "")
        )
    return Noise(deviation, _entries(where) if at else ())


def _stack(argument: str | None) -> Stack:
    text = _given("stack", argument, "4")
    count = int(text) if text.isdecimal() and len(text) < 4 else 0
    if not 2 <= count <= _DEEPEST_STACK:
        why = " (1 has no effect: leave it out)" if count == 1 else ""
        raise SettingError(
            f"stack needs a whole number from 2 to {_DEEPEST_STACK}; got {text!r:.60}{why}"
        )
    return Stack(count)


def _pixels(argument: str | None) -> Pixels:
    side, colours = PICTURE_SIDE, False
    for part in [] if argument is None else argument.split(":"):
        if part.strip() == "rgb" and not colours:
            colours = True
        elif part.isdecimal() and len(part) < 4 and 8 <= int(part) <= _LARGEST_SIDE:
            side = int(part)
        else:
            raise SettingError(
                f"pixels takes a side from 8 to {_LARGEST_SIDE} and rgb, as in pixels:64:rgb; got "
                f"{argument!r:.60}"
            )
    return Pixels(side, colours)


_FORMS: dict[str, Callable[[str | None], Stage]] = {
    "keys": lambda text: Keys(_entries(_given("keys", text, "position,goal"))),
    "drop": lambda text: Drop(_entries(_given("drop", text, "2,3"))),
    "noise": _noise,
    "stack": _stack,
    "change": _alone("change", Change()),
    "previous-action": _alone("previous-action", PreviousAction()),
    "pixels": _pixels,
    "ram": _alone("ram", Ram()),
    "objects": _alone("objects", Objects()),
}

STAGES = tuple(_FORMS)
