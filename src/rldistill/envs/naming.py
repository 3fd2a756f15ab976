"""What the numbers of a task are called: features with their units, and actions.

The names of gymnasium's classic control, Box2D and MuJoCo tasks, of MinAtar and of Atari's memory
lie in names/*.toml. A user's file has the keys `features` and `actions`, lists of names; a unit
stands in brackets behind a name: "pole angle [rad]".
"""

import fnmatch
import functools
import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

from gymnasium import spaces

from rldistill.envs.features import Feature, named_parts
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import SettingError, did_you_mean

_SHIPPED = Path(__file__).parent / "names"
_WITH_UNIT = re.compile(r"(.*\S)\s*\[([^\[\]]*)\]")
_KEYS = ("features", "actions")
LONGEST_NAME = 200


@final
@dataclass(frozen=True, slots=True)
class TaskNames:
    """Names of all features and actions of a task.

    Attributes:
        features: one for each number of an observation, in its order; empty for pixels.
        actions: one for each action, or for each dimension of a continuous one.
        action_units: as many, "" for none.
        notes: one line each for what the reader should know of them.
    """

    features: tuple[Feature, ...]
    actions: tuple[str, ...]
    action_units: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def feature(self, text: str) -> int:
        """The index of a feature, from its name (case does not matter) or its index.

        Raises:
            SettingError: there is no such feature.

        >>> TaskNames((Feature("x"), Feature("pole angle", "rad")), ()).feature("Pole angle")
        1
        """
        return _find(text, [one.name for one in self.features], "feature")

    def action(self, text: str) -> int:
        """The index of an action or action dimension, from its name or its index.

        Raises:
            SettingError: there is no such action.
        """
        return _find(text, list(self.actions), "action")


def task_names(task: TaskSpec, info: TaskInfo, file: Path | None = None) -> TaskNames:
    """The names of a task: the user's, else those shipped, else numbers.

    Args:
        task: as it was asked for; its env_kwargs may change what is observed.
        info: as it turned out to be.
        file: a TOML file with `features`, `actions` or both, which come before all others.

    Raises:
        SettingError: the file cannot be read, or has another number of names than the task has.
    """
    given = {} if file is None else _read_file(file)
    num_features = _count(info)
    # Through a view the names are what became of those of the task.
    features, notes = info.features, list[str]()
    if not features:
        features, notes = _shipped_features(task, info, num_features)
    if not features:
        features = _numbered(info, num_features)
    if "features" in given:
        assert file is not None
        features, notes = _parsed(given["features"]), []
        if len(features) != num_features:
            what = f"{num_features} features" if num_features else "pixels, which have no names"
            raise SettingError(
                f"{file} names {len(features)} features; observations of {info.id} have {what}"
            )
    actions = _parsed(_action_names(info, given.get("actions"), file))
    return TaskNames(
        features,
        tuple(one.name for one in actions),
        tuple(one.unit for one in actions),
        tuple(notes),
    )


def _count(info: TaskInfo) -> int:
    """Numbers that can have names: those of flat observations, or of a grid that is shipped."""
    shape, entry = info.observation_space.shape, _entry(info.id)
    if len(shape) == 1:
        return shape[0]
    grid = tuple(entry.get("grid", ())) if entry else ()
    return math.prod(shape) if grid and shape[:2] == grid else 0


def _shipped_features(
    task: TaskSpec, info: TaskInfo, count: int
) -> tuple[tuple[Feature, ...], list[str]]:
    """The names that are shipped where they fit, else none, and what to say of that."""
    entry = _entry(info.id)
    if entry is None or count == 0:
        return (), []
    features = _of_entry(entry, info.id, dict(task.env_kwargs))
    if len(features) != count:
        if not features:
            return (), []
        return (), [
            f"names are shipped for {len(features)} features of {info.id}, and this one has "
            f"{count}: they are numbered; a file of names can be given"
        ]
    wrapped = f"a wrapper is applied: the names are those of {info.id} without it"
    return features, [wrapped] if task.wrapper else []


def _of_entry(
    entry: dict[str, Any], task_id: str, arguments: dict[str, Any]
) -> tuple[Feature, ...]:
    """The features of an entry of names/*.toml, with the blocks that these arguments bring."""
    if "grid" in entry:
        rows, columns = entry["grid"]
        return tuple(
            Feature(f"{channel} at row {row}, column {column}", group=channel)
            for row in range(rows)
            for column in range(columns)
            for channel in entry["channels"]
        )
    if "ram" in entry:
        return memory_features(task_id)
    words: list[str] = list(entry.get("features", ()))
    for block in entry.get("block", ()):
        if not _matches(task_id, block.get("ids", ["*"])):
            continue
        argument = block.get("argument")
        if argument is not None and arguments.get(argument, block["default"]) != block["value"]:
            continue
        own = block.get("features") or [
            each.format(part) for part in block["parts"] for each in block["each"]
        ]
        words = [*own, *words] if block.get("first") else [*words, *own]
    return _parsed(words)


def memory_features(task_id: str) -> tuple[Feature, ...]:
    """The 128 bytes of an Atari game's memory, with the names of those that are known."""
    known: dict[str, str] = (_entry(task_id) or {}).get("ram", {})
    names = (known.get(str(i), "") for i in range(128))
    return tuple(
        Feature(f"{name} (RAM byte {i})" if name else f"RAM byte {i}")
        for i, name in enumerate(names)
    )


def known_objects(task_id: str) -> dict[int, str]:
    """Bytes of a game's memory that say where things are, and what they are called.

    Raises:
        SettingError: none are known for this game.

    >>> known_objects("ALE/Pong-v5")
    {50: 'enemy y', 51: 'player y', 49: 'ball x', 54: 'ball y'}
    """
    entry = _entry(task_id) or {}
    if "objects" not in entry:
        games = [str(one["ids"][0]) for one in _entries() if "objects" in one]
        raise SettingError(
            f"view objects: none are known for {task_id}, only for {', '.join(games)}; the view "
            "ram has all 128 bytes"
        )
    places = {str(name): int(byte) for byte, name in entry["ram"].items()}
    return {places[name]: name for name in entry["objects"]}


def _numbered(info: TaskInfo, count: int) -> tuple[Feature, ...]:
    """Names by number, with the names of the parts of a Dict or Tuple observation."""
    return named_parts(info.observation_parts, count)


def _action_names(info: TaskInfo, given: Any, file: Path | None) -> list[str]:
    space = info.action_space
    discrete = isinstance(space, spaces.Discrete)
    count = int(space.n) if isinstance(space, spaces.Discrete) else space.shape[0]
    if given is not None:
        if len(given) != count:
            raise SettingError(f"{file} names {len(given)} actions; {info.id} has {count}")
        return list(given)
    entry = _entry(info.id) or {}
    for names in entry.get("actions", ()):
        if len(names) == count:
            return list(names)
    return [f"{'action' if discrete else 'action dimension'} {i}" for i in range(count)]


def _parsed(words: list[str]) -> tuple[Feature, ...]:
    """Features from texts such as "pole angle [rad]".

    >>> _parsed(["pole angle [rad]", "position"])
    (Feature(name='pole angle', unit='rad', group=''), Feature(name='position', unit='', group=''))
    """
    matches = [(word, _WITH_UNIT.fullmatch(word)) for word in words]
    return tuple(Feature(match[1], match[2]) if match else Feature(word) for word, match in matches)


def _find(text: str, names: list[str], what: str) -> int:
    wanted = text.strip().lower()
    if wanted.isdecimal() and len(wanted) < 10 and int(wanted) < len(names):
        return int(wanted)
    lower = [name.lower() for name in names]
    if lower.count(wanted) == 1:
        return lower.index(wanted)
    near = did_you_mean(text.strip(), names)
    if not near:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        near = f" There are: {shown}" if names else ""
    raise SettingError(f"no {what} {text.strip()!r:.60} (by name, or by index from 0).{near}")


def _read_file(path: Path) -> dict[str, list[str]]:
    """A user's file of names, checked.

    Raises:
        SettingError: unreadable, no TOML, unknown keys, or names that are no short distinct texts.
    """
    try:
        record = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not a TOML file: {error}") from error
    unknown = [key for key in record if key not in _KEYS]
    if unknown or not record:
        near = did_you_mean(unknown[0], _KEYS) if unknown else ""
        got = f"got {unknown[0]!r:.40}" if unknown else "it is empty"
        raise SettingError(f"{path} must hold lists `features`, `actions` or both; {got}.{near}")
    for key, value in record.items():
        _require_names(f"{path}: {key}", value)
    return record


def _require_names(where: str, value: object) -> None:
    names = cast("list[object]", value) if isinstance(value, list) else []
    texts = [name for name in names if isinstance(name, str)]
    good = [text for text in texts if text.strip() and len(text) <= LONGEST_NAME]
    if not names or len(good) < len(names) or not all(text.isprintable() for text in good):
        raise SettingError(f"{where} must be a list of names, texts of 1 to {LONGEST_NAME} letters")
    bare = [match[1] if (match := _WITH_UNIT.fullmatch(text)) else text for text in good]
    lower = [text.lower() for text in bare]
    twice = next((text for text in bare if lower.count(text.lower()) > 1), None)
    if twice is not None:
        raise SettingError(f"{where} has {twice!r:.60} twice; each name must stand for one thing")


def _matches(task_id: str, patterns: list[str]) -> bool:
    name = task_id.rpartition(":")[2]
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _entry(task_id: str) -> dict[str, Any] | None:
    """What is shipped for a task: the first entry that matches its id."""
    return next((entry for entry in _entries() if _matches(task_id, entry["ids"])), None)


@functools.cache
def _entries() -> tuple[dict[str, Any], ...]:
    return tuple(
        entry
        for path in sorted(_SHIPPED.glob("*.toml"))
        for entry in tomllib.loads(path.read_text("utf-8"))["task"]
    )
