"""Stacks of frames and their labels in memory: each frame stored once, stacked when sampled."""

from typing import Any, final

import torch
from torch import Tensor

from rldistill.errors import SettingError, ShapeError

_BLANK = -1  # the serial number of the frame that is all zero: what a cleared stack shows
_UNKEPT = -2  # of a frame that was seen, but that no row needs so far
# Rows looked at together; at most so many stacks of new frames are written before rows are dropped.
_CHUNK = 1024
_SPARE = 4 * _CHUNK  # frames kept beyond one per row: those that begin a stack


@final
class FrameReplay:
    """A ring of (stack of S frames, teacher's raw outputs), sampled uniformly with replacement.

    What comes in and goes out are whole stacks [..., S, H, W], oldest frame first; a frame that an
    environment showed before is not stored again, and neither are the blank frames of a cleared
    stack. Nothing is assumed of how stacks begin or end: what does not go on from the stack before
    is stored anew, so what is sampled is what was added, byte by byte. Where stacks share no
    frames, the replay holds fewer rows than its capacity.

    Args:
        capacity: rows kept, where stacks share their frames; the memory is taken as rows come.
        observation_shape: (S, H, W).
        num_outputs: K, raw outputs per label.
        device: where the frames live and samples are made.

    Raises:
        SettingError: a setting is out of range, or the memory is not there.
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        num_outputs: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if capacity < 1 or num_outputs < 0 or len(observation_shape) != 3:
            raise SettingError(
                "frame replay: capacity must be at least 1, num_outputs at least 0 and the shape "
                f"(frames, height, width); got {capacity}, {num_outputs} and {observation_shape}"
            )
        self.capacity = capacity
        self.num_added = 0
        self._shape = observation_shape
        depth = observation_shape[0]
        # Slot 0 is the blank frame; serial number n lies in slot 1 + n % self._num_slots.
        self._num_slots = capacity + capacity // 128 + _SPARE
        try:
            self._frames = torch.empty(
                (1 + self._num_slots, *observation_shape[1:]), dtype=torch.uint8, device=device
            )
            self._serials = torch.empty((capacity, depth), dtype=torch.int64, device=device)
            self._labels = torch.empty((capacity, num_outputs), device=device)
        except RuntimeError as error:
            raise SettingError(
                f"frame replay: no memory for {capacity} frames of {observation_shape[1:]} on "
                f"{device}: lower the capacity"
            ) from error
        self._frames[0] = 0
        self._position = self._size = 0  # where the next row goes; rows held
        self._num_frames = 0  # ever stored: the next serial number
        self._before: tuple[Tensor, Tensor] | None = None  # stacks [B, S, ...] and their serials

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes of what is held, which is what a checkpoint takes; not of the whole capacity."""
        frames = min(self._num_frames, self._num_slots) * self._frames[0].numel()
        return frames + self._size * (8 * self._shape[0] + 4 * self._labels.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the frames live."""
        return self._frames.device

    def add(
        self, observations: Tensor, teacher_raw: Tensor, valid: Tensor, num_envs: int = 1
    ) -> int:
        """Store the rows where valid is True; the oldest rows held make room.

        Args:
            observations: [T * num_envs, S, H, W] uint8, step by step; the step before its first
                is the last one of the call before, where that had as many environments.
            teacher_raw: [T * num_envs, K], float.
            valid: [T * num_envs] bool; False for the phantom steps of autoreset.
            num_envs: B, environments that were stepped together; 1 for a dataset in its order.

        Returns:
            How many rows were stored.

        Raises:
            ShapeError: a tensor does not fit the replay; nothing is stored.
        """
        self._check(observations, teacher_raw, valid, num_envs)
        rows = max(_CHUNK // num_envs, 1) * num_envs
        before = self.num_added
        for start in range(0, len(valid), rows):
            part = slice(start, start + rows)
            kept = valid[part].to(self.device)
            steps = observations[part].to(self.device).unflatten(0, (-1, num_envs))
            serials = self._store(steps, kept.unflatten(0, (-1, num_envs)))
            self._append(serials[kept], teacher_raw[part].to(self.device)[kept])
        return self.num_added - before

    def _store(self, steps: Tensor, valid: Tensor) -> Tensor:
        """Store the new frames of stacks [T, B, S, H, W]: the serial numbers [T * B, S] of all."""
        num_steps, num_envs, depth = steps.shape[:3]
        stacks, known = self._last(num_envs)
        found = torch.empty((num_steps, num_envs, depth), dtype=torch.int64, device=self.device)
        for t in range(num_steps):
            stack, wanted = steps[t], valid[t]
            goes_on = (stack[:, :-1] == stacks[:, 1:]).flatten(1).all(1)
            goes_on &= (known[:, 1:] != _UNKEPT).all(1)
            serials = found[t]
            serials.fill_(_UNKEPT)
            serials[:, :-1] = torch.where(goes_on[:, None], known[:, 1:], _UNKEPT)
            new = serials == _UNKEPT
            if not bool(goes_on.all()):
                blank = (stack.flatten(2).amax(2) == 0) & new
                serials[blank] = _BLANK
                new &= ~blank
            self._write(stack, serials, new & wanted[:, None])
            stacks, known = stack, serials
        self._before = (stacks.clone(), known.clone())
        return found.flatten(0, 1)

    def _last(self, num_envs: int) -> tuple[Tensor, Tensor]:
        """The stacks before, and their serial numbers; unknown ones at first."""
        if self._before is not None and len(self._before[0]) == num_envs:
            return self._before
        stacks = torch.zeros((num_envs, *self._shape), dtype=torch.uint8, device=self.device)
        known = torch.full((num_envs, self._shape[0]), _UNKEPT, device=self.device)
        return stacks, known

    def _write(self, stack: Tensor, serials: Tensor, new: Tensor) -> None:
        """Give the frames marked in new [B, S] serial numbers and slots."""
        count = int(new.sum())
        numbers = torch.arange(self._num_frames, self._num_frames + count, device=self.device)
        serials[new] = numbers
        self._frames[1 + numbers % self._num_slots] = stack[new]
        self._num_frames += count

    def _append(self, serials: Tensor, labels: Tensor) -> None:
        """Put rows into the ring, then drop those whose frames were overwritten."""
        count = len(serials)
        index = (self._position + torch.arange(count, device=self.device)) % self.capacity
        kept = slice(max(count - self.capacity, 0), None)  # the rest would be overwritten at once
        self._serials[index[kept]], self._labels[index[kept]] = serials[kept], labels[kept]
        self._position = (self._position + count) % self.capacity
        self._size = min(self._size + count, self.capacity)
        self.num_added += count
        first_kept = self._num_frames - self._num_slots
        if first_kept <= 0:
            return
        held = self._serials[self._rows()]
        lost = ((held >= 0) & (held < first_kept)).any(1).nonzero()
        if len(lost):
            self._size -= int(lost[-1]) + 1

    def _rows(self) -> Tensor:
        """Where the rows held lie, oldest first."""
        start = self._position - self._size
        return (start + torch.arange(self._size, device=self.device)) % self.capacity

    def _check(
        self, observations: Tensor, teacher_raw: Tensor, valid: Tensor, num_envs: int
    ) -> None:
        if valid.dtype != torch.bool or valid.ndim != 1:
            raise ShapeError(
                f"frame replay: valid must be bool [N]; got {valid.dtype} {[*valid.shape]}"
            )
        if (
            num_envs < 1
            or len(valid) % num_envs
            or num_envs * self._shape[0] ** 2 > self._num_slots
        ):
            raise ShapeError(
                f"frame replay: {len(valid)} rows are no whole steps of {num_envs} environments, "
                "or those are too many"
            )
        if observations.dtype != torch.uint8 or observations.shape != (len(valid), *self._shape):
            raise ShapeError(
                f"frame replay: observations must be uint8 {[len(valid), *self._shape]}, stacks "
                f"of {self._shape[0]} frames; got {observations.dtype} {[*observations.shape]}"
            )
        if teacher_raw.shape != (expected := (len(valid), self._labels.shape[1])):
            raise ShapeError(
                f"frame replay: teacher_raw must have shape {[*expected]}; "
                f"got {[*teacher_raw.shape]}"
            )

    def clear(self) -> None:
        """Forget every row; num_added goes on counting."""
        self._position = self._size = self._num_frames = 0
        self._before = None

    def sample(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw rows uniformly with replacement: stacks [batch_size, S, H, W], labels [.., K].

        Raises:
            SettingError: the replay is empty, or batch_size is below 1.
        """
        if self._size == 0 or batch_size < 1:
            raise SettingError(
                f"frame replay: cannot draw {batch_size} rows from {self._size}; both must be at "
                "least 1"
            )
        size = (batch_size,)
        drawn = torch.randint(self._size, size, generator=generator, device=generator.device)
        index = (drawn.to(self.device) + self._position - self._size) % self.capacity
        return self._stacks(self._serials[index]), self._labels[index]

    def _stacks(self, serials: Tensor) -> Tensor:
        slots = torch.where(serials < 0, 0, 1 + serials % self._num_slots)
        frames = self._frames.flatten(1).index_select(0, slots.flatten())
        return frames.view(-1, *self._shape)

    def state_dict(self) -> dict[str, Any]:
        """A copy, on the CPU, of what is held, and the counters: what load_state_dict takes."""
        used = 1 + min(self._num_frames, self._num_slots)
        rows = self._rows()
        held = {
            "frames": self._frames[:used],
            "serials": self._serials[rows],
            "labels": self._labels[rows],
        }
        numbers = (self.capacity, self._num_frames, self.num_added)
        return {"numbers": numbers, "rows": {k: x.to("cpu", copy=True) for k, x in held.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the replay that state_dict was taken from; environments start anew.

        Raises:
            ShapeError: it has another capacity or another shape; nothing is changed.
        """
        rows: dict[str, Tensor] = state["rows"]
        capacity, num_frames, num_added = state["numbers"]
        frames, serials, labels = rows["frames"], rows["serials"], rows["labels"]
        if (
            capacity != self.capacity
            or frames.shape[1:] != self._frames.shape[1:]
            or serials.shape[1:] != self._serials.shape[1:]
            or labels.shape[1:] != self._labels.shape[1:]
            or len(serials) != len(labels)
            or len(serials) > capacity
            or len(frames) != 1 + min(num_frames, self._num_slots)
        ):
            raise ShapeError(
                f"frame replay: the saved rows do not fit this replay of {self.capacity} stacks "
                f"{[*self._shape]}; resume with the same task, teacher and capacity"
            )
        self._frames[: len(frames)] = frames
        size = len(serials)
        self._serials[:size], self._labels[:size] = serials, labels
        self._size, self._position = size, size % capacity
        self._num_frames, self.num_added, self._before = num_frames, num_added, None
