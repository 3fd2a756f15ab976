"""RunRecord: what is known of a run, read from its folder as untrusted input.

A run that was cut off gives what there is and says what is missing. Nothing is loaded that could
run code, no file is read that is a link or a pipe, and what is read is bounded.
"""

import math
import re
import stat
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from rldistill.errors import RunFolderError
from rldistill.runs import RunFolder, read_json
from rldistill.runs.files import parse_object

State = Literal["finished", "not finished", "damaged"]

MOST_CURVE_BYTES = 32 * 2**20  # of metrics.jsonl that are read
MOST_LINE_BYTES = 2**20
MOST_RECIPE_BYTES = 2**20
LONGEST_TEXT = 1000  # letters of a text of a file that are shown
NUMBER = (int, float)

# What is told of a run, the file that it is in, and its type where it is not null.
STUDENT_KEYS: dict[str, Any] = {
    "task": dict, "architecture": str, "method": str, "parameters": int, "seed": int,
    "command": str, "teacher": dict, "versions": dict, "student_act": str, "task_ids": list,
}  # fmt: skip
VERDICT_KEYS: dict[str, Any] = {
    "verdict": str, "reason": str, "floor": NUMBER, "fraction": NUMBER, "fraction_low": NUMBER,
    "fraction_high": NUMBER, "student_return": NUMBER, "teacher_return": NUMBER,
    "random_return": NUMBER, "episodes": int, "paired": bool, "agreement": NUMBER,
    "teacher_parameters": int, "student_parameters": int, "env_steps": int,
    "train_seconds": NUMBER, "total_seconds": NUMBER, "student_bytes": int, "teacher_bytes": int,
    "student_latency_seconds": NUMBER, "teacher_latency_seconds": NUMBER,
    "tasks": (list, dict),
}  # fmt: skip
# What a point of a learning curve has: see rldistill.train.progress.Progress.
CURVE_KEYS = (
    "round_index", "env_steps", "rows", "samples", "train_seconds", "loss", "agreement",
    "student_return", "return_low", "return_high", "fraction", "episodes",
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run as its folder tells it.

    Attributes:
        root: the folder.
        name: of the folder, as text that can be shown.
        state: "finished" where there is a verdict.json.
        created: when it was made, ISO 8601, UTC; "" where that cannot be read.
        student: the values of STUDENT_KEYS that student.json has, of the right types.
        outcome: those of VERDICT_KEYS that verdict.json has.
        recipe: recipe.toml, plain values alone.
        curve: the records of metrics.jsonl, numbers of CURVE_KEYS alone; see read_curve.
        problems: what is missing or wrong, a sentence each.
    """

    root: Path
    name: str
    state: State
    created: str
    student: Mapping[str, Any]
    outcome: Mapping[str, Any]
    recipe: Mapping[str, Any]
    curve: tuple[Mapping[str, float], ...]
    problems: tuple[str, ...]

    @property
    def task(self) -> str | None:
        """Id of its task; of several all of them."""
        if len(ids := self.student.get("task_ids", ())) > 1:
            return plain_text(" + ".join(map(str, ids)))
        for source, key in ((self.student.get("task"), "id"), (self.recipe, "task")):
            if isinstance(source, Mapping) and isinstance(source.get(key), str):
                return plain_text(source[key])
        return None

    @property
    def architecture(self) -> str:
        """Its student's spec, or a dash."""
        return str(self.student.get("architecture") or self.recipe.get("student") or "-")

    @property
    def method(self) -> str:
        """Its row of the method table, or a dash."""
        return str(self.student.get("method") or self.recipe.get("method") or "-")

    @property
    def seed(self) -> int | None:
        """Of everything random."""
        for source in (self.student, self.recipe):
            if isinstance(source.get("seed"), int):
                return source["seed"]
        return None

    @property
    def word(self) -> str | None:
        """holds, fails or unsure; None where there is no verdict."""
        word = self.outcome.get("verdict")
        return word if word in ("holds", "fails", "unsure") else None

    def number(self, key: str) -> float | None:
        """A number of verdict.json, or of student.json."""
        value = self.outcome.get(key)
        return self.student.get(key) if value is None else value


def read_run(folder: RunFolder, *, with_curve: bool = True) -> RunRecord:
    """What there is to say of a run, also of one that was cut off, damaged or hostile.

    Args:
        folder: opened as one of ours.
        with_curve: read metrics.jsonl too.
    """
    problems: list[str] = []
    state: State = "not finished"
    student: dict[str, Any] = {}
    outcome: dict[str, Any] = {}
    for path, types, into in (
        (folder.student_json, STUDENT_KEYS, student),
        (folder.verdict_json, VERDICT_KEYS, outcome),
    ):
        try:
            into |= read_keys(path, types)
        except RunFolderError as error:
            state = "damaged"
            problems.append(problem_of(error, folder))
    if state != "damaged" and folder.verdict_json.is_file():
        state = "finished"
    elif state != "damaged":
        problems.append(
            "the run has not finished: there is no verdict yet, and the student may still change; "
            "continue it with rldistill distill --resume"
            if student
            else "the run was cut off before it saved a student"
        )
    created, curve, recipe = "", (), {}
    try:
        created = plain_text(read_json(plain_file(folder.mark)).get("created", ""))
        recipe = read_recipe(folder.recipe_toml)
        curve = read_curve(folder.metrics_jsonl) if with_curve else ()
    except RunFolderError as error:
        problems.append(problem_of(error, folder))
    return RunRecord(
        root=folder.root,
        name=plain_text(folder.root.name),
        state=state,
        created=created,
        student=student,
        outcome=outcome,
        recipe=recipe,
        curve=curve,
        problems=tuple(problems),
    )


def problem_of(error: RunFolderError, folder: RunFolder) -> str:
    """The error without the path that the reader knows."""
    return plain_text(str(error).replace(f"{folder.root}/", ""))


def plain_file(path: Path) -> Path:
    """The path itself, if a plain file or nothing is there.

    Raises:
        RunFolderError: it is a link (a run makes none, and it may lead anywhere), a pipe, a folder.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return path
    if stat.S_ISLNK(mode):
        raise RunFolderError(f"{path} is a link, which a run does not make; it is not followed")
    if not stat.S_ISREG(mode):
        raise RunFolderError(f"{path} is not a plain file")
    return path


def read_keys(path: Path, types: Mapping[str, Any]) -> dict[str, Any]:
    """Those of these keys of a JSON file that are not null; none where it is missing.

    Raises:
        RunFolderError: the file is damaged, or a value has another type.
    """
    found = read_json(path) if plain_file(path).exists() else {}
    kept: dict[str, Any] = {}
    for key, kind in types.items():
        value = found.get(key)
        if value is None:
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise RunFolderError(f"{path}: {key} is {plain_text(repr(value), 60)}")
        kept[key] = plain_value(value)
    return kept


def read_recipe(path: Path) -> dict[str, Any]:
    """The plain values of recipe.toml.

    Raises:
        RunFolderError: it is too large, or no TOML.
    """
    try:
        if not plain_file(path).exists():
            return {}
        with path.open("rb") as file:
            text = file.read(MOST_RECIPE_BYTES + 1)
        if len(text) > MOST_RECIPE_BYTES:
            raise RunFolderError(f"{path} is larger than {MOST_RECIPE_BYTES} bytes: not ours")
        found = tomllib.loads(text.decode())
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    return {plain_text(key): plain_value(value) for key, value in found.items()}


def read_curve(path: Path) -> tuple[Mapping[str, float], ...]:
    """The records of metrics.jsonl, each with those of CURVE_KEYS that are finite numbers.

    Lines that are damaged or torn are left out, and so is what comes after 32 MiB.

    Raises:
        RunFolderError: it is no plain file, or cannot be read.
    """
    records: list[Mapping[str, float]] = []
    read = 0
    try:
        if not plain_file(path).exists():
            return ()
        with path.open("rb") as file:
            while read < MOST_CURVE_BYTES and (line := file.readline(MOST_LINE_BYTES)):
                read += len(line)
                if (record := point_of(line, path)) is not None:
                    records.append(record)
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
    return tuple(records)


def point_of(line: bytes, path: Path) -> dict[str, float] | None:
    """The numbers of one line; None where it is not a JSON object."""
    try:
        found = parse_object(line, str(path))
    except RunFolderError:
        return None
    return {
        key: float(found[key])
        for key in CURVE_KEYS
        if isinstance(found.get(key), NUMBER)
        and not isinstance(found[key], bool)
        and abs(found[key]) < 1e300
    }


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")


def plain_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Text that can stand in any page and any figure: no control characters, and not endless.

    Marks that turn the direction of writing are dropped too: they make a name look like another.

    >>> plain_text("a\\x00b\\u202ec" + "d" * 400, 8)
    'a bcddd…'
    """
    # Cut before it is searched: a name can be megabytes long.
    text = _CONTROL.sub(" ", str(value)[: 4 * longest]).strip()
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain_value(value: object, depth: int = 3) -> Any:
    """A value of a foreign file, its texts plain, its numbers finite and of a size to compute with.

    >>> plain_value({"a": [1, 1e400, "b\\n"]})
    {'a': [1, None, 'b']}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, NUMBER):
        return value if -1e300 < value < 1e300 and math.isfinite(value) else None
    if isinstance(value, Mapping) and depth:
        items = list(value.items())[:200]
        return {plain_text(key): plain_value(item, depth - 1) for key, item in items}
    if isinstance(value, list | tuple) and depth:
        return [plain_value(item, depth - 1) for item in value[:200]]
    return plain_text(value)
