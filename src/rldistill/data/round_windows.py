"""Rounds cut into windows, for truncated backpropagation through time.

The gradient stops where a window begins, what is remembered does not. Nothing is left over at the
end of a round: its last window is as long as what is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rldistill.core import Recurrent, State, Trajectory, Unrolled
from rldistill.core.recurrent import detached, lanes
from rldistill.errors import SettingError


@final
@dataclass(frozen=True, slots=True)
class Window:
    """How sequences are cut.

    Attributes:
        length: steps that are learnt from at once; the gradient goes back through them.
        burn_in: steps before them that are read again first, without a gradient, so that what is
            remembered is what the student as it is now remembers.
    """

    length: int = 32
    burn_in: int = 0

    def __post_init__(self) -> None:
        if self.length < 1 or self.burn_in < 0:
            raise SettingError(
                f"window must be at least 1 step and burn_in at least 0, got {self.length} and "
                f"{self.burn_in}"
            )


@final
class RoundWindows:
    """The latest round in windows, for one or more networks that remember.

    Args:
        trajectory: the round.
        window: its length; a round on which the student has just acted needs no burn-in.
        networks: what is unrolled.
        states: what each remembered before the round.
    """

    def __init__(
        self,
        trajectory: Trajectory,
        window: Window,
        networks: Sequence[Recurrent],
        states: Sequence[State],
    ) -> None:
        self._trajectory, self._networks = trajectory, tuple(networks)
        length, self._num_envs = trajectory.valid.shape
        self._firsts = list(range(0, length, window.length))
        self._length = window.length
        self._starts = trajectory.starts
        # Rows of the valid steps, as trajectory.observations[trajectory.valid] counts them.
        self._rows = (trajectory.valid.flatten().cumsum(0) - 1).view(trajectory.valid.shape)
        with torch.no_grad():
            self._states = [
                states_before(network, (trajectory.observations, self._starts, state), self._firsts)
                for network, state in zip(networks, states, strict=True)
            ]

    def __len__(self) -> int:
        return len(self._firsts) * self._num_envs

    def at_once(self, batch_size: int) -> int:
        """Windows of about so many steps together."""
        return max(1, batch_size // self._length)

    def unroll(self, chosen: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Rows [N] of the valid steps of some windows, and each network's raw outputs in them."""
        rows: list[Tensor] = []
        outputs: list[list[Tensor]] = [[] for _ in self._networks]
        number, lane = chosen // self._num_envs, chosen % self._num_envs
        for which in number.unique().tolist():
            index = lane[number == which].to(self._rows.device)
            cut = slice(self._firsts[which], self._firsts[which] + self._length)
            valid = self._trajectory.valid[cut][:, index]
            rows.append(self._rows[cut][:, index][valid])
            seen, starts = self._trajectory.observations[cut][:, index], self._starts[cut][:, index]
            for found, network, states in zip(outputs, self._networks, self._states, strict=True):
                raw, _ = network(seen, lanes(states[which], index), starts)
                found.append(raw[valid])
        return torch.cat(rows), [torch.cat(found) for found in outputs]


def states_before(
    unroll: Callable[[Tensor, State, Tensor], Unrolled],
    sequence: tuple[Tensor, Tensor, State],
    times: Sequence[int],
) -> list[State]:
    """What is remembered before each of some steps, in order of time.

    Args:
        unroll: as of a Policy, or a Recurrent network.
        sequence: observations [T, B, ...], starts [T, B], and the state before them.
        times: of the steps, rising; T is the end.
    """
    observations, starts, state = sequence
    found: list[State] = []
    now = 0
    for time in times:
        if time > now:
            after: Unrolled = unroll(observations[now:time], state, starts[now:time])
            state, now = detached(after[1]), time
        found.append(state)
    return found
