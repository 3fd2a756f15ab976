"""Which pixels a policy looks at: what hiding them does to its distribution over actions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from rldistill.core import Categorical, NetworkPolicy, QValueHead
from rldistill.errors import TaskError
from rldistill.explain.surrogate import raw_outputs
from rldistill.maths import categorical
from rldistill.methods.catalogue import GAP
from rldistill.methods.terms import continuous_loss, mean_action_gap

Array = np.ndarray[Any, Any]
# A patch covers about this share of a side, and the next one starts half a patch further.
PATCHES_PER_SIDE = 12


@final
@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """How much each pixel matters.

    Attributes:
        frame: float64 [H, W] in [0, 1], what was seen, the last channel or the mean of colours.
        heat: float64 [H, W], nats, of the state where it is highest.
        mean_heat: float64 [H, W], over all states looked at.
    """

    frame: Array
    heat: Array
    mean_heat: Array


def saliency(policy: NetworkPolicy, observations: Array, patch: int | None = None) -> Saliency:
    """Hide patch by patch, behind the mean of that place over all states, and compare.

    The heat of a pixel is the mean of KL(pi(intact) || pi(hidden)) over the patches that cover it,
    in nats. A Q-network's softmax has the temperature of a tenth of its mean action gap; one action
    without a distribution counts as a normal with a tenth of half its range.

    Args:
        policy: over pixels.
        observations: uint8 [N, H, W], [N, C, H, W] or [N, H, W, C].
        patch: side of a patch in pixels; None: a twelfth of the shorter side.

    Raises:
        TaskError: the observations are no pictures.

    Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks".
    """
    rows, columns = picture_axes(observations.shape[1:])
    height, width = observations.shape[1 + rows], observations.shape[1 + columns]
    side = patch or max(1, min(height, width) // PATCHES_PER_SIDE)
    hidden = np.rint(observations.mean(0)).astype(observations.dtype)
    intact = raw_outputs(policy, observations)
    compare = _comparison(policy, intact)
    heat = np.zeros((len(observations), height, width))
    covered = np.zeros((height, width))
    for top in _starts(height, side):
        for left in _starts(width, side):
            place: list[Any] = [slice(None)] * hidden.ndim
            place[rows], place[columns] = slice(top, top + side), slice(left, left + side)
            changed = observations.copy()
            changed[(slice(None), *place)] = hidden[tuple(place)]
            score = compare(raw_outputs(policy, changed))
            heat[:, top : top + side, left : left + side] += score[:, None, None]
            covered[top : top + side, left : left + side] += 1
    heat /= covered
    best = int(heat.reshape(len(heat), -1).max(1).argmax())
    return Saliency(_frame(observations[best], (rows, columns)), heat[best], heat.mean(0))


def picture_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """Which axes of an observation are rows and columns: the smallest of three is the channels.

    Raises:
        TaskError: it is no picture.

    >>> picture_axes((4, 84, 84)), picture_axes((96, 96, 3)), picture_axes((10, 10))
    ((1, 2), (0, 1), (0, 1))
    """
    if len(shape) == 2:
        return 0, 1
    if len(shape) == 3:
        return (1, 2) if shape[0] < shape[2] else (0, 1)
    raise TaskError(f"a saliency map needs pictures, [H, W] with channels or without; got {shape}")


def _starts(length: int, side: int) -> list[int]:
    """Where patches start, half a patch apart, the last one at the edge."""
    last = max(length - side, 0)
    return sorted({*range(0, last + 1, max(1, side // 2)), last})


def _comparison(policy: NetworkPolicy, intact: Array) -> Callable[[Array], Array]:
    """What compares raw outputs with the intact ones: nats [N]."""
    head, before = policy.info.head, torch.from_numpy(intact)

    def compare(raw: Array) -> Array:
        ours, theirs = head(before), head(torch.from_numpy(raw))
        if isinstance(ours, Categorical) and isinstance(theirs, Categorical):
            heat = 1.0
            if isinstance(head, QValueHead):
                heat = GAP.q_values * max(mean_action_gap(before), 1e-8)
            found: Tensor = categorical.kl(ours.logits / heat, theirs.logits / heat)
        else:
            found = continuous_loss("kl", head, ours, theirs)
        return found.double().clamp(min=0.0).numpy()  # below 0 is rounding

    return compare


def _frame(observation: Array, axes: tuple[int, int]) -> Array:
    """The picture [H, W] in [0, 1]: the mean of colours, or the newest of stacked frames.

    Of channels of 0 and 1, as in MinAtar, each has a shade of its own.
    """
    if observation.ndim == 2:
        return observation / 255.0 if observation.max() > 1 else observation.astype(np.float64)
    channels = 3 - sum(axes)
    frames = np.moveaxis(observation, channels, -1)
    if observation.max() <= 1:
        shades = np.arange(1, frames.shape[-1] + 1) / frames.shape[-1]
        return np.asarray((frames * shades).max(-1))
    picture = frames.mean(-1) if frames.shape[-1] == 3 else frames[..., -1]
    return picture / 255.0
