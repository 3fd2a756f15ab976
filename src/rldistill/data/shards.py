"""A dataset as memory-mapped shards in a folder: plain .npy columns, and dataset.json.

    dataset.json                          DatasetMeta, and how many rows each shard has
    shard-00000/observations.npy  ...     one file per column of DatasetMeta.columns()

Rows lie as they were collected: step after step, and within a step environment after environment.
Column episode numbers the episodes (count of the environment's episodes so far times num_envs,
plus the environment), column step counts within one; so a stable sort by episode gives whole
episodes. What was seen after an episode's last decision lies in final_observations, one row per
episode of final_episode. A shard is written beside its name and then renamed: it is there whole or
not at all, and dataset.json lists only whole ones.
"""

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.data.manifest import read_manifest, shard_name
from rldistill.data.rows import Array, Episode, Rows
from rldistill.errors import DatasetError, NotFiniteError, SettingError

_HEADER = re.compile(
    rb"\{'descr': '([<>|][a-z]\d{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(([\d, ]*)\), \} *\n"
)
_ROW_COLUMNS = (
    "observations", "actions", "rewards", "terminated", "truncated", "episode", "step",
    "teacher_raw",
)  # fmt: skip


# Rows of the dataset: per shard touched, which of those asked for, and which rows of the shard.
_Places = list[tuple[int, Array, Array]]


@final
class ShardDataset:
    """A dataset on disk, opened for reading; only what is drawn is read.

    Args:
        folder: where a ShardWriter wrote.

    Raises:
        DatasetError: no dataset, no rows yet, or a file that is missing, truncated or not what
            dataset.json says.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.meta, self.shards, self.complete = read_manifest(self.folder)
        if not any(shard.rows for shard in self.shards):
            raise DatasetError(f"{self.folder}: no shard was finished; collect again")
        self._columns = self.meta.columns()
        self._offsets = {
            (shard, column): self._check(shard, column)
            for shard in range(len(self.shards))
            for column in self._columns
        }
        # Row starts[i] is the first of shard i; starts[-1] is the number of rows.
        self._starts = np.cumsum([0, *(shard.rows for shard in self.shards)])
        self._maps: dict[tuple[int, str], Array] = {}

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return self.meta.observation_shape

    @property
    def observation_dtype(self) -> np.dtype[Any]:
        return np.dtype(self.meta.observation_dtype)

    @property
    def action_space(self) -> spaces.Discrete | spaces.Box:
        return self.meta.action_space

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(
            shard.length(column) * dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            for shard in self.shards
            for column, (dtype, shape) in self._columns.items()
        )

    def __len__(self) -> int:
        return int(self._starts[-1])

    def sample(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw rows uniformly with replacement: observations [batch_size, ...], labels [.., K].

        Raises:
            SettingError: batch_size is below 1.
            NotFiniteError: a drawn row holds NaN, or an infinite observation.
        """
        places = self._draw(batch_size, generator)
        teacher_raw = self._take("teacher_raw", places)
        if np.isnan(teacher_raw).any():  # -inf is a logit: an action never taken
            raise NotFiniteError(f"{self.folder}: teacher_raw holds NaN; label the data again")
        return self._observations(places), torch.from_numpy(teacher_raw)

    def sample_actions(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As sample, with the recorded actions in place of labels: [batch_size] or [.., D].

        Raises:
            SettingError, NotFiniteError: as sample.
            DatasetError: a drawn action is not one of the action space.
        """
        places = self._draw(batch_size, generator)
        actions = self._take("actions", places)
        space = self.action_space
        most = space.n - 1 if isinstance(space, spaces.Discrete) else np.finfo(np.float32).max
        least = 0 if isinstance(space, spaces.Discrete) else -most
        if not ((actions >= least) & (actions <= most)).all():  # not for NaN either
            raise DatasetError(f"{self.folder}: an action lies outside {space}; collect again")
        return self._observations(places), torch.from_numpy(actions)

    def iterate(self) -> Iterator[Rows]:
        """Every row once, in the order of collection, one shard at a time as arrays in memory.

        Raises:
            DatasetError: a file cannot be read.
        """
        for shard in np.flatnonzero([shard.rows for shard in self.shards]).tolist():
            yield Rows(**{name: np.array(self._open(shard, name)) for name in _ROW_COLUMNS})

    def episodes(self) -> Iterator[Episode]:
        """Every episode once, by number; one cut off by the end of collection comes as it is.

        Raises:
            DatasetError: a file cannot be read, or an episode misses a step.
        """
        number = self._whole("episode")
        order = np.argsort(number, kind="stable")
        cuts = np.flatnonzero(np.diff(number[order])) + 1
        finals = self._whole("final_episode")
        last = {int(episode): index for index, episode in enumerate(finals)}
        for rows in np.split(order, cuts):
            places = self._places(rows)
            columns = {name: self._take(name, places) for name in _ROW_COLUMNS}
            if (columns["step"] != np.arange(len(rows))).any():
                raise DatasetError(f"{self.folder}: episode {number[rows[0]]} misses a step")
            index = last.get(int(number[rows[0]]))
            final = None if index is None else self._final_observation(index)
            yield Episode(Rows(**columns), final)

    def _draw(self, batch_size: int, generator: torch.Generator) -> _Places:
        if batch_size < 1:
            raise SettingError(f"sample: batch_size must be at least 1; got {batch_size}")
        size, device = (batch_size,), generator.device
        rows = torch.randint(len(self), size, generator=generator, device=device)
        return self._places(rows.cpu().numpy())

    def _observations(self, places: _Places) -> Tensor:
        observations = self._take("observations", places)
        if observations.dtype != np.uint8 and not np.isfinite(observations).all():
            raise NotFiniteError(f"{self.folder}: an observation holds NaN or infinity")
        return torch.from_numpy(observations)

    def _places(self, rows: Array) -> _Places:
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        cuts = np.searchsorted(ordered, self._starts)
        return [
            (shard, order[cuts[shard] : cuts[shard + 1]], local)
            for shard in np.flatnonzero(np.diff(cuts)).tolist()
            for local in [ordered[cuts[shard] : cuts[shard + 1]] - self._starts[shard]]
        ]

    def _take(self, column: str, places: _Places) -> Array:
        """A copy of the rows at these places, in the order that they were asked for."""
        dtype, shape = self._columns[column]
        taken = np.empty((sum(len(where) for _, where, _ in places), *shape), dtype)
        for shard, where, local in places:
            taken[where] = self._map(shard, column)[local]
        return taken

    def _whole(self, column: str) -> Array:
        return np.concatenate([self._open(shard, column) for shard in range(len(self.shards))])

    def _final_observation(self, index: int) -> Array:
        for shard, size in enumerate(self.shards):
            if index < size.finals:
                return np.array(self._map(shard, "final_observations")[index])
            index -= size.finals
        raise AssertionError("index counts the rows of final_episode")

    def _map(self, shard: int, column: str) -> Array:
        """A memory map that stays open: each takes a file descriptor, so only those drawn from."""
        if (shard, column) not in self._maps:
            self._maps[shard, column] = self._open(shard, column)
        return self._maps[shard, column]

    def _path(self, shard: int, column: str) -> Path:
        return self.folder / shard_name(shard) / f"{column}.npy"

    def _shape(self, shard: int, column: str) -> tuple[int, ...]:
        return (self.shards[shard].length(column), *self._columns[column][1])

    def _open(self, shard: int, column: str) -> Array:
        shape, dtype = self._shape(shard, column), self._columns[column][0]
        if shape[0] == 0:  # what is empty cannot be mapped
            return np.empty(shape, dtype)
        path, offset = self._path(shard, column), self._offsets[shard, column]
        try:
            mapped = np.memmap(path, dtype, "r", offset, shape)
        except (OSError, ValueError) as error:
            hint = ": raise the limit on open files (ulimit -n)" if _too_many(error) else ""
            raise DatasetError(f"cannot read {path}: {error}{hint}") from error
        return mapped.view(np.ndarray)

    def _check(self, shard: int, column: str) -> int:
        """Byte at which the data of a column begins; DatasetError if the file is damaged."""
        path, dtype = self._path(shard, column), self._columns[column][0]
        shape = self._shape(shard, column)
        try:
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise DatasetError(f"{path} leads out of the dataset's folder")
            if not path.is_file():
                raise DatasetError(f"{path} is missing; collect again")
            with path.open("rb") as file:
                found = _header(file)
                offset = file.tell()
            size = path.stat().st_size - offset
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(f"{path} is damaged: {error}") from error
        if found != (shape, False, dtype):
            raise DatasetError(
                f"{path} is damaged: expected {dtype} {shape}, found {found[2]} {found[0]}"
            )
        if size != (expected := dtype.itemsize * int(np.prod(shape, dtype=object))):
            raise DatasetError(
                f"{path} is damaged: expected {expected} bytes of data, found {size}"
            )
        return offset


def _too_many(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, Fortran order, dtype) from the head of a .npy file, in the one form that we write.

    numpy's own reader takes any Python literal, and fails on hostile ones in too many ways.
    """
    if file.read(8) != b"\x93NUMPY\x01\x00":
        raise ValueError("it does not begin as a .npy file of version 1.0")
    text = file.read(int.from_bytes(file.read(2), "little"))
    if (match := _HEADER.fullmatch(text)) is None:
        raise ValueError("its header is not one that numpy writes for numbers")
    kind, order, sizes = (group.decode() for group in match.groups())
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    return shape, order == "True", np.dtype(kind)
