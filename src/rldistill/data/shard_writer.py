"""Writing a dataset of shards while it is collected; the format is told in shards.py."""

import contextlib
import os
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, final

import numpy as np

from rldistill.core import Trajectory
from rldistill.data.episode_clock import EpisodeClock
from rldistill.data.manifest import (
    MANIFEST,
    DatasetMeta,
    Shard,
    manifest_text,
    read_manifest,
    shard_name,
)
from rldistill.data.rows import Array
from rldistill.errors import (
    DatasetError,
    NotFiniteError,
    RldistillError,
    RunFolderError,
    ShapeError,
)
from rldistill.runs import atomic_write, lock_folder, make_folder, storage_advice, sync_folder

ROWS_PER_SHARD = 65_536
BYTES_PER_SHARD = 256 * 2**20  # at most, so that pixels do not fill the memory
_SHARD = re.compile(r"shard-\d{5,}|\.shard-\d{5,}\.partial")


@final
class ShardWriter:
    """Append trajectories to a new dataset; leaving the context writes what is left.

    Args:
        folder: created, parents included. It must be empty.
        meta: what dataset.json will say.
        force: replace a dataset that is already there. A folder that holds anything else is never
            touched.
        rows_per_shard: rows of one shard, None for ROWS_PER_SHARD or BYTES_PER_SHARD at most.

    Raises:
        DatasetError: the folder is not empty, or cannot be written.
        RunFolderError: another process writes there.
    """

    def __init__(
        self,
        folder: Path | str,
        meta: DatasetMeta,
        force: bool = False,
        rows_per_shard: int | None = None,
    ) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.meta = meta
        columns = meta.columns()
        if rows_per_shard is None:
            sizes = [dtype.itemsize * int(np.prod(shape)) for dtype, shape in columns.values()]
            rows_per_shard = max(1, min(ROWS_PER_SHARD, BYTES_PER_SHARD // sum(sizes)))
        # Plain buffers and not a writable memory map: on a full disk a map kills the process.
        self._rows = {
            name: np.empty((rows_per_shard, *shape), dtype)
            for name, (dtype, shape) in columns.items()
            if not name.startswith("final_")
        }
        self._finals: dict[str, list[Array]] = {"final_observations": [], "final_episode": []}
        self._capacity, self._filled = rows_per_shard, 0
        self._shards: list[Shard] = []
        self._failed = False
        self._clock: EpisodeClock | None = None
        self._last: Trajectory | None = None
        self._closing = contextlib.ExitStack()
        self._prepare(force)

    def _prepare(self, force: bool) -> None:
        try:
            _refuse_occupied(self.folder, force)
            make_folder(self.folder)
            self._closing.enter_context(lock_folder(self.folder))
            _refuse_occupied(self.folder, force)  # another process may have come first
            for old in [path for path in self.folder.iterdir() if _SHARD.fullmatch(path.name)]:
                if old.is_symlink():
                    old.unlink()
                else:
                    shutil.rmtree(old)
            self._write_manifest(complete=False)
        except BaseException as error:
            self._closing.close()
            if isinstance(error, OSError):
                raise DatasetError(storage_advice(error, self.folder)) from error
            raise

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What was collected before an interruption is kept; the first error is the one to tell.
        with contextlib.suppress(RldistillError) if error else contextlib.nullcontext():
            self.close()

    @property
    def num_rows(self) -> int:
        """Decisions added so far."""
        return sum(shard.rows for shard in self._shards) + self._filled

    def add(self, trajectory: Trajectory) -> int:
        """Append what B environments did for T steps; it goes on where the last one stopped.

        Args:
            trajectory: phantom steps (valid False) are left out; the observation on the phantom
                step after an episode's end is its final observation.

        Returns:
            How many rows were added.

        Raises:
            ShapeError: it does not fit the dataset's meta, or has another number of environments.
            NotFiniteError: observations, actions or rewards that are not finite, or labels of NaN.
            DatasetError: no space, no permission; whole shards before are intact.
        """
        if self._failed:
            raise DatasetError(f"{self.folder}: an earlier write failed; collect again")
        valid = trajectory.valid.cpu().numpy()
        columns = self._columns(trajectory, valid)
        ended = valid & (columns["terminated"] | columns["truncated"])
        if self._clock is None:
            self._clock = EpisodeClock(valid.shape[1])
        columns["episode"], columns["step"], final_episode = self._clock.tick(valid, ended)
        self._note_finals(columns["observations"], final_episode)
        self._last = trajectory
        self._append({name: column[valid] for name, column in columns.items()})
        return int(valid.sum())

    def close(self) -> None:
        """Write the rows that are left, and free the folder; a second call does nothing.

        Raises:
            DatasetError: no space, no permission; whole shards before are intact.
        """
        with self._closing:
            # After a failed write rows are missing: the whole shards stay, and no more is said.
            if self._last is not None and self._clock is not None and not self._failed:
                observations = self._last.last_observations.cpu().numpy()
                self._note_finals(observations, self._clock.open_episodes())
                self._last = None
                self._write_shard()
                self._write_manifest(complete=True)

    def _columns(self, trajectory: Trajectory, valid: Array) -> dict[str, Array]:
        """The recorded columns [T, B, ...], checked against meta."""
        names = ("observations", "actions", "rewards", "terminated", "truncated", "teacher_raw")
        specs = self.meta.columns()
        found: dict[str, Array] = {}
        batch = valid.shape
        if len(batch) != 2 or (self._clock is not None and batch[1] != self._clock.num_envs):
            raise ShapeError(
                f"dataset: valid must be [T, B], B as in the first trajectory; got {[*batch]}"
            )
        for name in names:
            array: Array = getattr(trajectory, name).detach().cpu().numpy()
            dtype, shape = specs[name]
            if array.shape != (*batch, *shape) or array.dtype != dtype:
                raise ShapeError(
                    f"dataset: {name} must be {dtype} {(*batch, *shape)}; got {array.dtype} "
                    f"{array.shape}"
                )
            # -inf is a logit: an action never taken.
            test = np.isnan if name == "teacher_raw" else _not_finite
            if test(array if name == "observations" else array[valid]).any():
                raise NotFiniteError(f"dataset: {name} holds NaN or infinity; nothing was added")
            found[name] = array
        return found

    def _note_finals(self, observations: Array, episode: Array) -> None:
        """Keep the observations that are the last of the episode numbered beside them (else -1)."""
        self._finals["final_observations"].append(observations[episode >= 0])
        self._finals["final_episode"].append(episode[episode >= 0])

    def _append(self, rows: dict[str, Array]) -> None:
        start, total = 0, len(rows["step"])
        while start < total:
            count = min(total - start, self._capacity - self._filled)
            for name, buffer in self._rows.items():
                buffer[self._filled : self._filled + count] = rows[name][start : start + count]
            self._filled += count
            start += count
            if self._filled == self._capacity:
                self._write_shard()
                self._write_manifest(complete=False)

    def _write_shard(self) -> None:
        columns = {name: buffer[: self._filled] for name, buffer in self._rows.items()}
        for name, parts in self._finals.items():
            dtype, shape = self.meta.columns()[name]
            columns[name] = np.concatenate([np.empty((0, *shape), dtype), *parts])
        num_finals = len(columns["final_episode"])
        if self._filled == num_finals == 0:
            return
        target = self.folder / shard_name(len(self._shards))
        partial = target.with_name(f".{target.name}.partial")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for name, column in columns.items():
                _write_column(partial / f"{name}.npy", column)
            sync_folder(partial)
            partial.rename(target)
        except OSError as error:
            self._failed = True
            shutil.rmtree(partial, ignore_errors=True)
            raise DatasetError(storage_advice(error, target)) from error
        sync_folder(self.folder)
        self._shards.append(Shard(self._filled, num_finals))
        self._filled = 0
        for parts in self._finals.values():
            parts.clear()

    def _write_manifest(self, complete: bool) -> None:
        text = manifest_text(self.meta, self._shards, complete)
        try:
            atomic_write(self.folder / MANIFEST, text)
        except RunFolderError as error:
            self._failed = True
            raise DatasetError(str(error)) from error


def _not_finite(array: Array) -> Array:
    """bool: NaN or infinity; pixels and flags are always finite."""
    return ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros((), np.bool_)


def _write_column(path: Path, column: Array) -> None:
    """Write one .npy file, to the disk. OSError where there is no space."""
    with path.open("wb") as file:
        header: dict[str, Any] = np.lib.format.header_data_from_array_1_0(column)
        np.lib.format.write_array_header_1_0(file, header)
        # Not numpy's own writer: it turns "no space left" into an error without a number.
        file.write(np.ascontiguousarray(column).data)
        file.flush()
        os.fsync(file.fileno())


def _refuse_occupied(folder: Path, force: bool) -> None:
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    if not names:
        return
    if MANIFEST not in names:
        raise DatasetError(
            f"{folder} is not empty and is not a dataset; it will not be overwritten: choose "
            "another folder with --out"
        )
    read_manifest(folder)  # raises where dataset.json is not ours
    if not force:
        raise DatasetError(
            f"{folder} already holds a dataset: choose another folder with --out, or replace it "
            "with --force"
        )
