"""Observations and their labels in memory: each stored once, oldest overwritten first."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from rldistill.errors import SettingError, ShapeError


@final
class Replay:
    """A ring of (observation, teacher's raw outputs), sampled uniformly with replacement.

    The teacher is frozen, so its raw outputs are stored beside the observation and no sample is
    ever sent through it twice.

    Args:
        capacity: rows kept; the memory is taken at once.
        observation_shape: shape of one observation, [...].
        num_outputs: K, raw outputs per label; 0 where there is no teacher to label.
        device: where the rows live and samples are made.
        observation_dtype: torch.uint8 for pixels, else torch.float32.
        action_shape: () to store action indices (int64) too, (D,) to store vectors (float32).

    Raises:
        SettingError: a setting is out of range, or the memory is not there.
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        num_outputs: int,
        device: torch.device | str = "cpu",
        observation_dtype: torch.dtype = torch.float32,
        action_shape: tuple[int, ...] | None = None,
    ) -> None:
        if capacity < 1 or num_outputs < 0:
            raise SettingError(
                "replay: capacity must be at least 1 and num_outputs at least 0; "
                f"got {capacity} and {num_outputs}"
            )
        if observation_dtype not in (torch.float32, torch.uint8):
            raise SettingError(
                "replay: observations are stored as torch.float32, or torch.uint8 for pixels; "
                f"got {observation_dtype}"
            )
        layout = {
            "observations": (observation_shape, observation_dtype),
            "teacher_raw": ((num_outputs,), torch.float32),
        }
        if action_shape is not None:
            layout["actions"] = (action_shape, torch.float32 if action_shape else torch.int64)
        try:
            self._columns = {
                name: torch.empty((capacity, *shape), dtype=dtype, device=device)
                for name, (shape, dtype) in layout.items()
            }
        except RuntimeError as error:
            raise SettingError(
                f"replay: no memory for {capacity} observations of shape {observation_shape} on "
                f"{device}: lower the capacity"
            ) from error
        self.capacity = capacity
        self.num_added = 0
        self._position = 0  # where the next row goes
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def row_nbytes(self) -> int:
        """Bytes of one row."""
        return sum(x.element_size() * x[0].numel() for x in self._columns.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the rows held, which is what a checkpoint takes; not of the whole capacity."""
        return self._size * self.row_nbytes

    @property
    def device(self) -> torch.device:
        """Where the rows live."""
        return self._columns["observations"].device

    def add(
        self,
        observations: Tensor,
        teacher_raw: Tensor,
        valid: Tensor,
        actions: Tensor | None = None,
    ) -> int:
        """Store the rows where valid is True, oldest first; the oldest rows held make room.

        Args:
            observations: [N, ...].
            teacher_raw: [N, K], float.
            valid: [N] bool; False for the phantom steps of autoreset. A mask on the CPU spares a
                wait for the GPU.
            actions: [N] or [N, D]; exactly where the replay was made with an action_shape.

        Returns:
            How many rows were stored.

        Raises:
            ShapeError: a tensor does not fit the replay; nothing is stored.
        """
        rows = {"observations": observations, "teacher_raw": teacher_raw}
        if actions is not None:
            rows["actions"] = actions
        self._check(rows, valid)
        index = valid.nonzero().squeeze(-1)
        num_rows = index.numel()
        index = index[-self.capacity :].to(self.device)  # the rest would be overwritten at once
        head = min(index.numel(), self.capacity - self._position)
        for name, column in self._columns.items():
            kept = rows[name].to(self.device)
            if index.numel() < len(valid):
                kept = kept.index_select(0, index)
            column[self._position : self._position + head] = kept[:head]
            column[: index.numel() - head] = kept[head:]
        self._position = (self._position + index.numel()) % self.capacity
        self._size = min(self._size + num_rows, self.capacity)
        self.num_added += num_rows
        return num_rows

    def _check(self, rows: dict[str, Tensor], valid: Tensor) -> None:
        if rows.keys() != self._columns.keys():
            raise ShapeError(
                f"replay: this one stores {', '.join(self._columns)}; got {', '.join(rows)}"
            )
        if valid.dtype != torch.bool or valid.ndim != 1:
            raise ShapeError(f"replay: valid must be bool [N]; got {valid.dtype} {[*valid.shape]}")
        for name, column in self._columns.items():
            expected = (len(valid), *column.shape[1:])
            if rows[name].shape != expected:
                raise ShapeError(
                    f"replay: {name} must have shape {[*expected]}; got {[*rows[name].shape]}"
                )
            if column.dtype != torch.float32 and rows[name].dtype != column.dtype:
                raise ShapeError(f"replay: {name} must be {column.dtype}; got {rows[name].dtype}")

    def clear(self) -> None:
        """Forget every row; num_added goes on counting."""
        self._position = self._size = 0

    def relabel(self, label: Callable[[Tensor], Tensor], rows_at_once: int = 8192) -> None:
        """Replace the labels of all rows held, as another teacher would have made them.

        Args:
            label: from observations [N, ...] to raw outputs [N, K].
            rows_at_once: N, at most.

        Raises:
            ShapeError: the new labels have another width; the rows before are changed already.
        """
        for start in range(0, self._size, rows_at_once):
            stop = min(start + rows_at_once, self._size)
            new, column = label(self._columns["observations"][start:stop]), "teacher_raw"
            if new.shape != self._columns[column][start:stop].shape:
                raise ShapeError(
                    f"replay: teacher_raw must have shape "
                    f"{[*self._columns[column][start:stop].shape]}; got {[*new.shape]}"
                )
            self._columns[column][start:stop] = new

    def sample(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw rows uniformly with replacement: observations [batch_size, ...], labels [.., K].

        Raises:
            SettingError: the replay is empty, or batch_size is below 1.
        """
        index = self._draw(batch_size, generator)
        return (
            self._columns["observations"].index_select(0, index),
            self._columns["teacher_raw"].index_select(0, index),
        )

    def sample_actions(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As sample, with the recorded actions in place of labels: [batch_size] or [.., D].

        Raises:
            SettingError: as sample, or no actions are stored.
        """
        if "actions" not in self._columns:
            raise SettingError("replay: no actions are stored; make it with an action_shape")
        index = self._draw(batch_size, generator)
        return (
            self._columns["observations"].index_select(0, index),
            self._columns["actions"].index_select(0, index),
        )

    def _draw(self, batch_size: int, generator: torch.Generator) -> Tensor:
        if self._size == 0 or batch_size < 1:
            raise SettingError(
                f"replay: cannot draw {batch_size} rows from {self._size}; both must be at least 1"
            )
        size = (batch_size,)
        index = torch.randint(self._size, size, generator=generator, device=generator.device)
        return index.to(self.device)

    def rows(self) -> tuple[Tensor, Tensor]:
        """All rows held, in no order: observations [N, ...] and labels [N, K]. Not copies."""
        return (
            self._columns["observations"][: self._size],
            self._columns["teacher_raw"][: self._size],
        )

    def newest(self, count: int) -> tuple[Tensor, Tensor]:
        """The rows added last, at most count and what is held, the newest last.

        Raises:
            SettingError: count is below 0.
        """
        if count < 0:
            raise SettingError(f"replay: newest rows to count must be at least 0, got {count}")
        count = min(count, self._size)
        index = torch.arange(self._position - count, self._position, device=self.device)
        index %= self.capacity
        return (
            self._columns["observations"].index_select(0, index),
            self._columns["teacher_raw"].index_select(0, index),
        )

    def state_dict(self) -> dict[str, Any]:
        """A copy, on the CPU, of the rows held and the counters: what load_state_dict takes."""
        rows = {name: x[: self._size].to("cpu", copy=True) for name, x in self._columns.items()}
        numbers = (self.capacity, self._position, self.num_added)
        return {"numbers": numbers, "rows": rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the replay that state_dict was taken from.

        Raises:
            ShapeError: it has another capacity or other columns; nothing is changed.
        """
        rows: dict[str, Tensor] = state["rows"]
        capacity, position, num_added = state["numbers"]
        sizes = {len(row) for row in rows.values()}
        size = max(sizes, default=-1)
        if (
            {name: (x.dtype, x.shape[1:]) for name, x in rows.items()}
            != {name: (x.dtype, x.shape[1:]) for name, x in self._columns.items()}
            or capacity != self.capacity
            or len(sizes) > 1
            or not (position == size < capacity or 0 <= position < size == capacity)
        ):
            columns = {name: [*column.shape[1:]] for name, column in self._columns.items()}
            raise ShapeError(
                f"replay: the saved rows do not fit this replay of {self.capacity} rows of "
                f"{columns}; resume with the same task, teacher and capacity"
            )
        for name, column in self._columns.items():
            column[:size] = rows[name]
        self._size, self._position, self.num_added = size, position, num_added
