"""Sequences in memory for students that remember: windows of rounds, with the state before each."""

from collections import deque
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from rldistill.core import NetworkPolicy, Recurrent, State, Trajectory
from rldistill.core.recurrent import detached, lanes
from rldistill.data.round_windows import Window, states_before
from rldistill.errors import SettingError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One window of B environments, its burn-in first.

    Attributes:
        observations: [W, B, ...].
        teacher_raw: [W, B, K].
        starts: [W, B] bool, an episode begins: what is remembered is forgotten before.
        counted: [W, B] bool, to be learnt from: neither burn-in nor phantom steps.
        state: what the student remembered before the first step.
        burn_in: how many of the first steps are burn-in.
    """

    observations: Tensor
    teacher_raw: Tensor
    starts: Tensor
    counted: Tensor
    state: State
    burn_in: int

    def lanes(self, index: Tensor) -> "Block":
        """Some of the environments."""
        return Block(
            observations=self.observations[:, index],
            teacher_raw=self.teacher_raw[:, index],
            starts=self.starts[:, index],
            counted=self.counted[:, index],
            state=lanes(self.state, index),
            burn_in=self.burn_in,
        )

    def unroll(self, network: Recurrent) -> Tensor:
        """The network's raw outputs [N, K] in the counted steps; no gradient from the burn-in."""
        state, cut = self.state, self.burn_in
        if cut:
            with torch.no_grad():
                _, state = network(self.observations[:cut], state, self.starts[:cut])
        raw, _ = network(self.observations[cut:], detached(state), self.starts[cut:])
        return raw[self.counted[cut:]]


@final
class SequenceReplay:
    """Windows of rounds, newest last; the oldest are dropped whole once there are too many steps.

    Args:
        capacity: steps kept, phantom ones not counted.
        window: how rounds are cut.
        device: where the windows live.

    Raises:
        SettingError: capacity is below 1.
    """

    def __init__(self, capacity: int, window: Window, device: torch.device | str = "cpu") -> None:
        if capacity < 1:
            raise SettingError(f"sequences: capacity must be at least 1 step, got {capacity}")
        self.capacity = capacity
        self.window = window
        self.num_added = 0
        self._device = torch.device(device)
        self._blocks: deque[tuple[Block, int]] = deque()  # with its counted steps
        self._size = 0
        self._tail: tuple[Tensor, Tensor, Tensor, State] | None = None

    def __len__(self) -> int:
        return self._size

    @property
    def num_windows(self) -> int:
        """Windows held: one per block and environment."""
        return sum(block.starts.shape[1] for block, _ in self._blocks)

    @property
    def nbytes(self) -> int:
        """Bytes of the windows held, which is what a checkpoint takes."""
        return sum(
            x.element_size() * x.numel() for block, _ in self._blocks for x in _tensors(block)
        )

    @torch.no_grad()
    def put(self, trajectory: Trajectory, student: NetworkPolicy) -> None:
        """Store a round of a student; the oldest windows make room.

        Args:
            trajectory: labelled, with what the student remembered before it.
            student: as it is now: it says what is remembered before each window.
        """
        seen, labels, starts = trajectory.observations, trajectory.teacher_raw, trajectory.starts
        state, before = trajectory.carried.student, 0
        if self._tail is not None and self.window.burn_in:
            *parts, state = self._tail
            before = len(parts[2])
            joined = zip(parts, (seen, labels, starts), strict=True)
            seen, labels, starts = (torch.cat([old, new]) for old, new in joined)
        counted = torch.cat([torch.zeros_like(starts[:before]), trajectory.valid])
        length, burn_in = self.window.length, self.window.burn_in
        firsts = list(range(before, len(starts), length))
        begins = [max(0, first - burn_in) for first in firsts]
        tail = max(0, len(starts) - burn_in)
        states = states_before(student.unroll, (seen, starts, state), [*begins, tail])
        for first, begin, own in zip(firsts, begins, states, strict=False):
            cut = slice(begin, first + length)
            learnt = counted[cut].clone()
            learnt[: first - begin] = False
            block = Block(
                observations=seen[cut],
                teacher_raw=labels[cut],
                starts=starts[cut],
                counted=learnt,
                state=own,
                burn_in=first - begin,
            )
            self._append(block)
        self._tail = (seen[tail:], labels[tail:], starts[tail:], states[-1])

    def _append(self, block: Block) -> None:
        count = int(block.counted.sum())
        if count == 0:
            return
        self._blocks.append((block, count))
        self._size += count
        self.num_added += count
        while self._size > self.capacity and len(self._blocks) > 1:
            self._size -= self._blocks.popleft()[1]

    def clear(self) -> None:
        """Forget every window; the burn-in of the next round's first one is kept."""
        self._blocks.clear()
        self._size = 0

    def batch(self, chosen: Tensor) -> list[Block]:
        """Windows by number, 0 to num_windows - 1, those of equal length together.

        Raises:
            SettingError: there are none.
        """
        if not self._blocks:
            raise SettingError("sequences: there is nothing to learn from yet")
        sizes = torch.tensor([block.starts.shape[1] for block, _ in self._blocks])
        ends = sizes.cumsum(0)
        which = torch.searchsorted(ends, chosen.cpu(), right=True)
        lane = chosen.cpu() - (ends - sizes)[which]
        groups: dict[tuple[int, int], list[Block]] = {}
        for number in which.unique().tolist():
            block, _ = self._blocks[number]
            part = block.lanes(lane[which == number].to(self._device))
            groups.setdefault((part.burn_in, len(part.starts)), []).append(part)
        return [_joined(parts) for parts in groups.values()]

    def state_dict(self) -> dict[str, Any]:
        """Copies, on the CPU, of the windows held."""
        blocks = {
            i: {
                "tensors": {j: x.to("cpu", copy=True) for j, x in enumerate(_tensors(block))},
                "burn_in": block.burn_in,
            }
            for i, (block, _) in enumerate(self._blocks)
        }
        return {"num_added": self.num_added, "blocks": blocks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the replay that state_dict was taken from."""
        self._blocks.clear()
        self._size = 0
        for saved in state["blocks"].values():
            tensors = [x.to(self._device) for x in saved["tensors"].values()]
            seen, labels, starts, counted, *remembered = tensors
            block = Block(
                observations=seen,
                teacher_raw=labels,
                starts=starts,
                counted=counted,
                state=tuple(remembered),
                burn_in=int(saved["burn_in"]),
            )
            self._append(block)
        self.num_added = int(state["num_added"])
        self._tail = None


def _tensors(block: Block) -> tuple[Tensor, ...]:
    return (block.observations, block.teacher_raw, block.starts, block.counted, *block.state)


def _joined(parts: list[Block]) -> Block:
    """Windows of equal length side by side."""
    if len(parts) == 1:
        return parts[0]
    seen, labels, starts, counted = (
        torch.cat(columns, 1) for columns in zip(*(_tensors(p)[:4] for p in parts), strict=True)
    )
    return Block(
        observations=seen,
        teacher_raw=labels,
        starts=starts,
        counted=counted,
        state=tuple(torch.cat(x) for x in zip(*(p.state for p in parts), strict=True)),
        burn_in=parts[0].burn_in,
    )
