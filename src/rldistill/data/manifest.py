"""What dataset.json says, and the columns that follow from it."""

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.core import CategoricalHead, Head, QValueHead, head_from_json, head_to_json
from rldistill.errors import DatasetError, RunFolderError
from rldistill.runs import read_json, to_json

FORMAT = "rldistill dataset"
FORMAT_VERSION = 1
MANIFEST = "dataset.json"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetMeta:
    """What dataset.json says besides the list of shards.

    Attributes:
        task_id, backend, env_kwargs: the task, as it was made.
        observation_shape: of one observation.
        observation_dtype: "float32", or "uint8" for pixels.
        head: what teacher_raw means; with it, which actions there are.
        teacher_name, teacher_fingerprint: whose labels these are (PolicyInfo's fields).
        acting: who acted, and how: "teacher, mode", "uniform", ...
        command: the command line, or what stands for it.
        seed: of the environments and of sampling.
        versions: package -> version.
        views: "student_view" and "teacher_view" through which the two saw the task, where they
            were set; observations are the student's.
    """

    task_id: str
    backend: str
    env_kwargs: Mapping[str, Any]
    observation_shape: tuple[int, ...]
    observation_dtype: str
    head: Head
    teacher_name: str
    teacher_fingerprint: str
    acting: str
    command: str
    seed: int
    versions: Mapping[str, str]
    views: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    @property
    def action_space(self) -> spaces.Discrete | spaces.Box:
        """The actions of this dataset: Discrete from 0, or a flat Box in environment units."""
        if isinstance(self.head, CategoricalHead | QValueHead):
            return spaces.Discrete(self.head.num_actions)
        low, high = (np.array(x, np.float32) for x in (self.head.low, self.head.high))
        return spaces.Box(low, high, dtype=np.float32)

    def columns(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Name -> (dtype, shape of one row) of the files of a shard; "final" ones last."""
        observation = (np.dtype(self.observation_dtype), self.observation_shape)
        space = self.action_space
        action = (np.dtype(np.int64), ())
        if isinstance(space, spaces.Box):
            action = (np.dtype(np.float32), space.shape)
        return {
            "observations": observation,
            "actions": action,
            "rewards": (np.dtype(np.float32), ()),
            "terminated": (np.dtype(np.bool_), ()),
            "truncated": (np.dtype(np.bool_), ()),
            "teacher_raw": (np.dtype(np.float32), (self.head.num_outputs,)),
            "episode": (np.dtype(np.int64), ()),
            "step": (np.dtype(np.int32), ()),
            "final_observations": observation,
            "final_episode": (np.dtype(np.int64), ()),
        }


@final
@dataclass(frozen=True, slots=True)
class Shard:
    """One folder of columns: rows decisions, and the last observations of finals episodes.

    The last shard may have no rows: where all were written before the episodes ended.
    """

    rows: int
    finals: int

    def length(self, column: str) -> int:
        """Rows in a column of this name."""
        return self.finals if column.startswith("final_") else self.rows


def shard_name(index: int) -> str:
    """The folder of the index-th shard.

    >>> shard_name(3)
    'shard-00003'
    """
    return f"shard-{index:05d}"


def manifest_text(meta: DatasetMeta, shards: list[Shard], complete: bool) -> str:
    """The text of dataset.json."""
    fields = {field.name: getattr(meta, field.name) for field in dataclasses.fields(meta)}
    fields["head"] = head_to_json(meta.head)
    written = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return to_json(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "written": written,
            "complete": complete,
            "rows": sum(shard.rows for shard in shards),
            **fields,
            "shards": [dataclasses.asdict(shard) for shard in shards],
        },
        indent=1,
    )


def read_manifest(folder: Path) -> tuple[DatasetMeta, list[Shard], bool]:
    """What dataset.json says, every field checked: (meta, shards, complete).

    Raises:
        DatasetError: missing, damaged, not ours, or of a newer version.
    """
    path = folder / MANIFEST
    try:
        found = read_json(path)
    except RunFolderError as error:
        raise DatasetError(f"not a dataset: {error}") from error
    if found.get("format") != FORMAT or type(found.get("format_version")) is not int:
        raise DatasetError(f"{path} is not the description of a dataset of ours")
    if found["format_version"] > FORMAT_VERSION:
        raise DatasetError(f"{path} was written by a newer rldistill: upgrade rldistill")
    try:
        shards = [
            Shard(_count(entry["rows"], 0), _count(entry["finals"], 0))
            for entry in _typed(found, "shards", list)
        ]
        if sum(shard.rows for shard in shards) != found.get("rows"):
            raise ValueError("rows is not the sum over the shards")
        return _meta(found), shards, _typed(found, "complete", bool)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error


def _meta(found: dict[str, Any]) -> DatasetMeta:
    if found["observation_dtype"] not in ("float32", "uint8"):
        raise ValueError(f"observation_dtype is {found['observation_dtype']!r}")
    return DatasetMeta(
        task_id=_typed(found, "task_id", str),
        backend=_typed(found, "backend", str),
        env_kwargs=_typed(found, "env_kwargs", dict),
        observation_shape=_shape(_typed(found, "observation_shape", list)),
        observation_dtype=found["observation_dtype"],
        head=head_from_json(found.get("head")),
        teacher_name=_typed(found, "teacher_name", str),
        teacher_fingerprint=_typed(found, "teacher_fingerprint", str),
        acting=_typed(found, "acting", str),
        command=_typed(found, "command", str),
        seed=_typed(found, "seed", int),
        versions=_typed(found, "versions", dict),
        views=_texts(found.get("views", {})),
    )


def _typed(found: dict[str, Any], name: str, kind: type) -> Any:
    if type(value := found.get(name)) is not kind:
        raise ValueError(f"{name} must be {kind.__name__}, not {type(value).__name__}")
    return value


def _texts(value: object) -> dict[str, str]:
    pairs: dict[object, object] = value if isinstance(value, dict) else {}
    if pairs != value or not all(isinstance(x, str) for pair in pairs.items() for x in pair):
        raise ValueError(f"views must be texts by name, not {value!r:.60}")
    return {str(name): str(text) for name, text in pairs.items()}


def _count(value: object, least: int, most: int = 2**40) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"a count is {value!r}")
    return value


def _shape(sizes: list[object]) -> tuple[int, ...]:
    shape = tuple(_count(size, 1, 2**24) for size in sizes)
    if not 1 <= len(shape) <= 8:
        raise ValueError(f"observation_shape is {sizes}")
    return shape
