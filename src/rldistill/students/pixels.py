"""Pixels at the door of a network: which axis holds the channels, and how large the numbers are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.errors import SettingError, TaskError


@final
@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How observations [B, *shape] become floats [B, C, H, W] that are at most about 1.

    The channels are the first axis where it is shorter than the last, as in stacks of Atari frames
    (4, 84, 84); else the last, as in MinAtar (10, 10, C) and pictures (H, W, 3).

    Attributes:
        shape: of one observation.
        scale: what every number is divided by: the highest of an integer space (255 for frames),
            1 for floats.
    """

    shape: tuple[int, ...]
    scale: float = 1.0

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise TaskError(
                "a convolutional student needs pixels, of shape (channels, height, width) or "
                f"(height, width, channels); the observations have shape {self.shape}"
            )

    @classmethod
    def of(cls, space: spaces.Box) -> "PixelLayout":
        """The layout of a space.

        Raises:
            TaskError: it has not three axes.

        >>> PixelLayout.of(spaces.Box(0, 255, (4, 84, 84), np.uint8))
        PixelLayout(shape=(4, 84, 84), scale=255.0)
        """
        whole = np.issubdtype(space.dtype, np.integer)
        highest = float(space.high.max()) if whole and space.high.size else 1.0
        return cls(space.shape, max(highest, 1.0))

    @property
    def channels_first(self) -> bool:
        """Whether the first axis is that of the channels."""
        return self.shape[0] < self.shape[2]

    @property
    def size(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        first, middle, last = self.shape
        return (first, middle, last) if self.channels_first else (last, first, middle)

    def __call__(self, observations: Tensor) -> Tensor:
        """Observations [B, *shape] of any number type to float32 [B, C, H, W], channels last in
        memory, which is how convolutions are fastest."""
        x = observations if self.channels_first else observations.permute(0, 3, 1, 2)
        x = x.to(torch.float32, memory_format=torch.channels_last)
        return x if self.scale == 1.0 else x / self.scale

    def details(self) -> dict[str, Any]:
        """What a saved student says of it."""
        return {"scale": self.scale}

    @classmethod
    def from_record(cls, shape: tuple[int, ...], record: Mapping[str, Any]) -> "PixelLayout":
        """The inverse of details.

        Raises:
            SettingError: scale is missing or not a number of at least 1.
            TaskError: shape has not three axes.
        """
        scale = record.get("scale")
        if not isinstance(scale, float) or not 1.0 <= scale <= 1e9:
            raise SettingError("scale is missing or is not what it should be")
        return cls(shape, scale)
