"""Teacher cards, in TOML: what a file of weights does not say of itself; see docs/cards.md.

A card is data of a stranger like the weights: it names layers of a fixed list and tensors of the
file, and nothing in it is run.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rldistill.errors import TeacherFileError, did_you_mean, near_names
from rldistill.teachers.archive import read_file, safe_text

LARGEST_CARD = 1 << 18
MOST_LAYERS = 256

Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Size = Annotated[int, Field(ge=1, le=1 << 20)]
# Layers are read one by one in card_layers.py, where their errors can say which one it was.
Layers = Annotated[list[Any], Field(max_length=MOST_LAYERS)]
Numbers = Number | Annotated[list[Number], Field(min_length=1, max_length=4096)]


class Part(BaseModel):
    """A table of a card: no other keys than its own, no conversion of one type into another."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@final
class Origin(Part):
    """Where the weights come from; for people."""

    source: Text | None = None
    licence: Text | None = None
    framework: Text | None = None


@final
class TaskOfCard(Part):
    """What it was trained for and what it returns there."""

    id: Text | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    act: Literal["mode", "sample"] = "mode"
    claimed: Number | None = None
    measured: Number | None = None
    deviation: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    episodes: Size | None = None
    note: Text | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for people: for which task it is, and what it returned there."""
        if self.id is None:
            return ()
        arguments = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        line = f"its card: for {self.id}" + (f" with {arguments}" if arguments else "")
        if self.measured is not None:
            line += f"; measured there {self.measured:g}, actions by {self.act}"
        return (safe_text(line, 300),)


@final
class Observations(Part):
    """From what the task gives to what the network takes."""

    shape: Annotated[list[Size], Field(min_length=1, max_length=4)] | None = None
    channels: Literal["first", "last"] = "first"
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


@final
class Actions(Part):
    """What the outputs mean."""

    head: Literal["categorical", "q-values", "gaussian", "squashed-gaussian", "deterministic"]
    low: Numbers | None = None
    high: Numbers | None = None
    log_std: Text | Number | Layers | None = None


@final
class Network(Part):
    """Layers by name of kind and tensors; trunk is what actor and critic share."""

    trunk: Layers = Field(default_factory=list)
    actor: Layers
    critic: Layers | None = None


@final
class ValueOfCard(Part):
    """What the critic's numbers, or Q-values, count."""

    gamma: Annotated[float, Field(ge=0, le=1)] | None = None
    units: Literal["raw", "normalised"] = "raw"


@final
class WeightsOfCard(Part):
    """How tensors lie in the file."""

    layout: Literal["torch", "jax"] = "torch"
    ignore: Annotated[list[Text], Field(max_length=64)] = Field(default_factory=list)


@final
class Card(Part):
    """One teacher card, checked but for its layers."""

    format: Literal[1]
    algorithm: Annotated[str, Field(min_length=1, max_length=60)]
    origin: Origin = Origin()
    task: TaskOfCard = TaskOfCard()
    observations: Observations = Observations()
    actions: Actions
    network: Network
    value: ValueOfCard = ValueOfCard()
    weights: WeightsOfCard = WeightsOfCard()

    @property
    def digest(self) -> str:
        """sha256 of all that decides how the teacher acts and values."""
        deciding = {"observations", "actions", "network", "value", "weights"}
        return hashlib.sha256(self.model_dump_json(include=deciding).encode()).hexdigest()


def find_card(weights: Path) -> Path | None:
    """The card beside a file of weights: the same stem and .toml."""
    beside = weights.with_suffix(".toml")
    return beside if beside.is_file() and beside != weights else None


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises:
        TeacherFileError: missing, no TOML, an unknown key (near names are given), or a wrong value.
        UnsafeFileError: larger than any card.
    """
    data = read_file(path, LARGEST_CARD)
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise TeacherFileError(f"card {path} is not TOML: {safe_text(str(error), 200)}") from error
    if type(table.get("format")) is not int or table["format"] != 1:
        raise TeacherFileError(
            f"card {path}: expected format = 1, got {safe_text(repr(table.get('format')))}"
        )
    _refuse_unknown_keys(table, Card, str(path), "")
    try:
        return Card.model_validate(table)
    except ValidationError as error:
        problems = "; ".join(_in_words(problem) for problem in error.errors()[:4])
        raise TeacherFileError(f"card {path}: {problems}; docs/cards.md has all keys") from error


def _refuse_unknown_keys(
    table: Mapping[str, Any], model: type[BaseModel], path: str, where: str
) -> None:
    fields = model.model_fields
    for key, value in table.items():
        if key not in fields:
            raise TeacherFileError(
                f"card {path}: unknown key {where}{safe_text(key)!r}; known: {', '.join(fields)}"
                f"{near_names(safe_text(key), fields)}"
            )
        part = fields[key].annotation
        if isinstance(part, type) and issubclass(part, BaseModel) and isinstance(value, dict):
            _refuse_unknown_keys(cast("dict[str, Any]", value), part, path, f"{key}.")


def _in_words(problem: Mapping[str, Any]) -> str:
    """One problem that pydantic found, without its jargon where that can be."""
    name = safe_text(".".join(map(str, problem["loc"])))
    if problem["type"] == "missing":
        return f"{name} is missing"
    given = safe_text(repr(problem["input"]))
    if problem["type"] == "literal_error":
        known = str(problem["ctx"]["expected"])
        return f"{name} must be {known}, got {given}." + did_you_mean(
            str(problem["input"])[:40], [word.strip(" '") for word in known.split(",")]
        )
    return f"{name}: {problem['msg']}, got {given}"


def bounds_of(value: Numbers | None, size: int, unbounded: float, path: str) -> tuple[float, ...]:
    """low or high of a card as one number per action dimension.

    Raises:
        TeacherFileError: it is a list of another length.

    >>> bounds_of(0.4, 3, 9.0, "card.toml"), bounds_of(None, 2, float("inf"), "card.toml")
    ((0.4, 0.4, 0.4), (inf, inf))
    """
    if value is None:
        return (unbounded,) * size
    if isinstance(value, list):
        if len(value) != size:
            raise TeacherFileError(
                f"{path}: actions.low or actions.high has {len(value)} numbers, the network gives "
                f"{size} action dimensions"
            )
        return tuple(value)
    return (value,) * size
