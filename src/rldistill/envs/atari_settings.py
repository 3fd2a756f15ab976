"""How an Atari game is preprocessed: the settings of a task id, and what they say of themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn, final

from rldistill.errors import SettingError, did_you_mean

# Emulated frames per second are 60: half an hour of play.
MAX_FRAMES = 108_000

_NAMES = re.compile(r"(?P<space>ALE/)?(?P<game>[A-Z]\w*?)(?P<raw>NoFrameskip)?-v(?P<version>[045])")


@final
@dataclass(frozen=True, kw_only=True)
class AtariSettings:
    """The standard preprocessing; names are those of ale-py's AtariVectorEnv where it has them.

    Attributes:
        frameskip: emulated frames per step; (low, high) draws it anew for each step from
            low..high - 1, as the ids Game-v0 and Game-v4 do.
        repeat_action_probability: sticky actions, in [0, 1): in each emulated frame the action
            before is repeated with this probability.
        full_action_space: all 18 actions instead of those that the game uses.
        maxpool: the larger of the last two frames, pixel by pixel, against flicker.
        noop_max: a game starts with 0..noop_max - 1 frames of doing nothing.
        use_fire_reset: a game starts with one frame of FIRE, where it has that action.
        fire_after_life: the step after a lost life presses FIRE, whatever action is given, and
            what it shows begins a new stack.
        episodic_life: a lost life ends the episode (not the game). Never in scores.
        reward_clipping: rewards are cut to [-1, 1]. Never in scores.
        stack_num: frames in one observation, oldest first.

    Raises:
        SettingError: a setting is of another type or out of range.
    """

    frameskip: int | tuple[int, int] = 4
    repeat_action_probability: float = 0.0
    full_action_space: bool = False
    maxpool: bool = True
    noop_max: int = 30
    use_fire_reset: bool = True
    fire_after_life: bool = False
    episodic_life: bool = False
    reward_clipping: bool = False
    stack_num: int = 4

    def __post_init__(self) -> None:
        if isinstance(self.frameskip, list):  # from TOML and JSON
            object.__setattr__(self, "frameskip", tuple(self.frameskip))
        skip: Any = self.frameskip
        sticky: Any = self.repeat_action_probability
        pair = skip if isinstance(skip, tuple) else (skip, skip + 1) if _is_whole(skip) else ()
        if len(pair) != 2 or not all(map(_is_whole, pair)) or not 1 <= pair[0] < pair[1]:
            _refuse("frameskip", "a whole number from 1 on or a pair (low, high)", skip)
        if isinstance(sticky, bool) or not isinstance(sticky, (int, float)) or not 0 <= sticky < 1:
            _refuse("repeat_action_probability", "a number in [0, 1)", sticky)
        for name, lowest in (("noop_max", 0), ("stack_num", 1)):
            if not _is_whole(value := getattr(self, name)) or value < lowest:
                _refuse(name, f"a whole number from {lowest} on", value)
        for field in fields(self):
            if field.type is bool and not isinstance(value := getattr(self, field.name), bool):
                _refuse(field.name, "true or false", value)

    @property
    def frames(self) -> tuple[int, int]:
        """Emulated frames of the shortest and of the longest step."""
        if isinstance(self.frameskip, tuple):
            return self.frameskip[0], self.frameskip[1] - 1
        return self.frameskip, self.frameskip

    @property
    def scored(self) -> "AtariSettings":
        """The same game as scores count it: whole games, raw rewards."""
        return replace(self, episodic_life=False, reward_clipping=False)

    def describe(self) -> str:
        """One line for people: every setting.

        >>> AtariSettings(repeat_action_probability=0.25).describe()
        'frames 4 per step, max of 2, 84x84 grey, stack 4; up to 29 no-ops, FIRE at the start; \
sticky actions 0.25; minimal action set; raw rewards'
        """
        low, high = self.frameskip if isinstance(self.frameskip, tuple) else (self.frameskip, 0)
        skip = f"{low}..{high - 1} at random" if high else str(low)
        starts = [f"up to {max(self.noop_max - 1, 0)} no-ops"]
        starts += ["FIRE at the start"] if self.use_fire_reset else []
        starts += ["FIRE and a new stack after a lost life"] if self.fire_after_life else []
        parts = [
            f"frames {skip} per step, {'max of 2' if self.maxpool else 'no max'}, 84x84 grey, "
            f"stack {self.stack_num}",
            ", ".join(starts),
            f"sticky actions {self.repeat_action_probability:g}"
            if self.repeat_action_probability
            else "no sticky actions",
            "all 18 actions" if self.full_action_space else "minimal action set",
            *(["a lost life ends the episode"] if self.episodic_life else []),
            "rewards clipped to [-1, 1]" if self.reward_clipping else "raw rewards",
        ]
        return "; ".join(parts)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse(name: str, required: str, value: object) -> NoReturn:
    raise SettingError(f"Atari: {name} must be {required}; got {value!r}")


def max_frames(settings: AtariSettings, max_steps: int) -> int:
    """Emulated frames that an episode of so many steps has at most.

    >>> max_frames(AtariSettings(), 1000), max_frames(AtariSettings(frameskip=(2, 5)), 1000)
    (4000, 4000)
    """
    return max_steps * settings.frames[1]


def max_steps(settings: AtariSettings, asked: int | None) -> int:
    """Steps that an episode has at most, where so many are asked for or None.

    >>> max_steps(AtariSettings(), None), max_steps(AtariSettings(frameskip=(2, 5)), None)
    (27000, 54000)
    """
    return -(-MAX_FRAMES // settings.frames[0]) if asked is None else asked


@final
@dataclass(frozen=True)
class AtariTask:
    """What an Atari id means.

    Attributes:
        id: as given.
        game: as ids spell it, such as "MsPacman".
        settings: the id's own defaults, with what was asked for in their place.
    """

    id: str
    game: str
    settings: AtariSettings


def game_of(task_id: str) -> str | None:
    """The game that an id of Atari's form names, which need not exist; None for other forms.

    >>> [game_of(x) for x in ("ALE/Pong-v5", "PongNoFrameskip-v4", "Pong-v4", "Pong-v5")]
    ['Pong', 'Pong', 'Pong', None]
    """
    found = _NAMES.fullmatch(task_id)
    if found is None or (found["space"] is not None) != (found["version"] == "5"):
        return None
    return None if found["space"] and found["raw"] else found["game"]


def is_plainly_atari(task_id: str) -> bool:
    """Whether an id can be nothing else: "Pong-v4" might be anybody's.

    >>> [is_plainly_atari(x) for x in ("ALE/Pong-v5", "PongNoFrameskip-v4", "Pong-v4")]
    [True, True, False]
    """
    found = _NAMES.fullmatch(task_id)
    return found is not None and (found["space"] or found["raw"]) is not None


def parse_atari(task_id: str, given: Mapping[str, Any]) -> AtariTask:
    """The game of an id, and its settings.

    Args:
        task_id: ALE/Game-v5, GameNoFrameskip-v0 or -v4, Game-v0 or -v4.
        given: settings that replace the id's defaults.

    Raises:
        SettingError: a setting is unknown or out of range.

    >>> parse_atari("Pong-v4", {"noop_max": 1}).settings.frameskip
    (2, 5)
    """
    game, found = game_of(task_id), _NAMES.fullmatch(task_id)
    assert game is not None, "game_of() comes first"
    assert found is not None
    known = [field.name for field in fields(AtariSettings)]
    for name in given:
        if name not in known:
            raise SettingError(
                f"{task_id} has no setting {name!r}.{did_you_mean(name, known)} "
                f"Atari tasks take {', '.join(known)}"
            )
    defaults: dict[str, Any] = {
        "repeat_action_probability": 0.0 if found["version"] == "4" else 0.25,
        "frameskip": 4 if found["space"] or found["raw"] else (2, 5),
    }
    return AtariTask(task_id, game, AtariSettings(**{**defaults, **given}))
