"""Recorded decisions, as every reader of datasets gives them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Array = NDArray[Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """N decisions in a row of a dataset; rows of one episode come in the order of time.

    teacher_raw is None where no teacher has labelled the observations.
    """

    observations: Array  # [N, ...] float32 or uint8
    actions: Array  # [N] int64 from 0, or [N, D] float32
    rewards: Array  # [N] float32, raw
    terminated: Array  # [N] bool
    truncated: Array  # [N] bool
    episode: Array  # [N] int64, the number of the episode
    step: Array  # [N] int32, from 0 in each episode
    teacher_raw: Array | None  # [N, K] float32

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def episode_ends(self) -> Array:
        """bool [N]: the last decision of an episode that ended."""
        return self.terminated | self.truncated


@final
@dataclass(frozen=True, slots=True)
class Episode:
    """One episode from its start; final_observation is None where it was not recorded."""

    rows: Rows
    final_observation: Array | None  # [...], after the last row


class Dataset(Protocol):
    """What every reader of recorded decisions gives, whatever the file format."""

    @property
    def observation_shape(self) -> tuple[int, ...]: ...

    @property
    def observation_dtype(self) -> np.dtype[Any]:
        """float32, or uint8 for pixels."""
        ...

    @property
    def action_space(self) -> spaces.Discrete | spaces.Box:
        """Discrete from 0, or a flat Box."""
        ...

    def __len__(self) -> int:
        """Decisions in all."""
        ...

    def iterate(self) -> Iterator[Rows]:
        """Every row once, in pieces that fit in memory."""
        ...

    def episodes(self) -> Iterator[Episode]:
        """Every episode once, by its number."""
        ...
