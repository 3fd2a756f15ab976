"""A policy file of another library beside what that library's own code makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor


@dataclass(frozen=True)
class Made:
    """One file.

    Attributes:
        path: of the file.
        name: what info.name must be.
        shape: of one observation.
        action_space: of the task that it fits.
        reference: from observations [B, ...] to raw outputs, independent of the loader.
        value: from observations to values [B]; None where the loader must give none.
        gamma: what info.gamma must be.
        settings: what load_teacher needs besides the task.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    action_space: spaces.Space
    reference: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], Tensor] | None = None
    gamma: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def observations(self, count: int, seed: int = 0) -> Tensor:
        """Pictures are bytes, rows are standard normal."""
        generator = torch.Generator().manual_seed(seed)
        if len(self.shape) == 3:
            return torch.randint(0, 256, (count, *self.shape), generator=generator).byte()
        return torch.randn(count, *self.shape, generator=generator)
