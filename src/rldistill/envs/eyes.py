"""The stages of views at work: each turns a batch of observations into what the next one gets.

All of it is on tensors, which numpy's arrays become without a copy.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Protocol, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.envs.features import Feature
from rldistill.envs.seen import Seen, box, named_back, require_flat, resolve
from rldistill.envs.view_stages import Change, Drop, Noise, Pick, PreviousAction, Stack
from rldistill.errors import SettingError

Array = np.ndarray[Any, Any]
# Numbers of noise that are drawn at a time for each environment.
_NOISE_BLOCK = 1 << 12


@final
@dataclass(frozen=True, slots=True)
class Moment:
    """What has happened between two observations, besides what is seen.

    Attributes:
        starts: [B] bool: this observation is the first of its episode.
        actions: int64 [B] or float32 [B, D], taken before it; None at a reset.
        seed: environment i was seeded seed + i at this reset; None: no new seed.
    """

    starts: Tensor
    actions: Tensor | None = None
    seed: int | None = None


class Eye(Protocol):
    """One stage at work."""

    seen: Seen

    def look(self, observations: Tensor, moment: Moment) -> Tensor:
        """Observations [B, ...] as this stage gives them; what it is given is left alone."""
        ...


@final
class PickEye:
    """Some entries, in any order."""

    def __init__(self, stage: Pick | Drop, before: Seen) -> None:
        size = before.space.shape[before.axis - 1]
        index = resolve(stage.entries, before, str(stage))
        if isinstance(stage, Drop):
            index = [i for i in range(size) if i not in index]
        if index == list(range(size)):
            raise SettingError(f"view: {stage} has no effect, these are all {size} entries")
        if not index:
            raise SettingError(f"view: {stage} leaves nothing of {size} entries")
        self.seen, self._axis = before.along(index), before.axis
        self._index = torch.tensor(index)

    def look(self, observations: Tensor, moment: Moment) -> Tensor:
        self._index = self._index.to(observations.device)
        return observations.index_select(self._axis, self._index)


@final
class StackEye:
    """The last observations behind one another, oldest first."""

    def __init__(self, stage: Stack, before: Seen) -> None:
        self._is_plane = len(before.space.shape) == 2
        if self._is_plane:  # pixels without an axis of channels get one
            low, high = (bound[None] for bound in (before.space.low, before.space.high))
            before = Seen(box(low, high))
        self._axis, self._count = before.axis, stage.count
        self._size = before.space.shape[self._axis - 1]
        low, high = (
            np.concatenate([bound] * stage.count, self._axis - 1)
            for bound in (before.space.low, before.space.high)
        )
        back = range(stage.count - 1, -1, -1)
        features = tuple(named_back(one, steps) for steps in back for one in before.features)
        self.seen = Seen(box(low, high), features)
        self._held: Tensor | None = None

    def look(self, observations: Tensor, moment: Moment) -> Tensor:
        new = observations[:, None] if self._is_plane else observations
        if self._held is None or bool(moment.starts.all()):
            self._held = torch.cat([new] * self._count, self._axis)
            return self._held
        older = self._held.narrow(self._axis, self._size, self._held.shape[self._axis] - self._size)
        held = torch.cat([older, new], self._axis)
        if bool(moment.starts.any()):
            held[moment.starts] = torch.cat([new[moment.starts]] * self._count, self._axis)
        self._held = held
        return held


@final
class ChangeEye:
    """The numbers, and how each changed since the step before."""

    def __init__(self, stage: Change, before: Seen) -> None:
        require_flat(str(stage), before)
        low, high = before.space.low, before.space.high
        features = before.features + tuple(
            replace(one, name=f"change of {one.name}") for one in before.features
        )
        self.seen = Seen(
            box(np.concatenate([low, low - high]), np.concatenate([high, high - low])), features
        )
        self._last: Tensor | None = None

    def look(self, observations: Tensor, moment: Moment) -> Tensor:
        last = observations if self._last is None else self._last
        change = torch.where(moment.starts[:, None], 0.0, observations - last)
        self._last = observations
        return torch.cat([observations, change], 1)


@final
class PreviousActionEye:
    """The numbers, and the action that was taken before."""

    def __init__(self, stage: PreviousAction, before: Seen, actions: spaces.Space[Any]) -> None:
        require_flat(str(stage), before)
        if isinstance(actions, spaces.Discrete):
            low, high = np.zeros(actions.n, np.float32), np.ones(actions.n, np.float32)
            names = tuple(Feature(f"previous action was {i}") for i in range(int(actions.n)))
        elif isinstance(actions, spaces.Box) and len(actions.shape) == 1:
            low, high = np.minimum(actions.low, 0.0), np.maximum(actions.high, 0.0)
            names = tuple(Feature(f"previous action {i}") for i in range(len(low)))
        else:
            raise SettingError(f"view: {stage} knows no actions such as {actions}")
        self._is_index, self._size = isinstance(actions, spaces.Discrete), len(low)
        self._low, self._high = torch.from_numpy(low), torch.from_numpy(high)
        self.seen = Seen(
            box(np.concatenate([before.space.low, low]), np.concatenate([before.space.high, high])),
            before.features + names,
        )

    def look(self, observations: Tensor, moment: Moment) -> Tensor:
        if moment.actions is None:
            action = observations.new_zeros(len(observations), self._size)
        elif self._is_index:
            action = torch.nn.functional.one_hot(moment.actions, self._size).float()
        else:
            low, high = (bound.to(observations.device) for bound in (self._low, self._high))
            action = moment.actions.float().clamp(low, high)
        action = torch.where(moment.starts[:, None], 0.0, action)
        return torch.cat([observations, action], 1)


@final
class NoiseEye:
    """Gaussian noise, of the same seeds wherever and whatever else is played.

    Environment i has a stream of its own, from its seed and the view's text: so a start of one seed
    is seen alike in any batch.
    """

    def __init__(self, stage: Noise, before: Seen, text: str) -> None:
        size = before.space.shape[before.axis - 1]
        index = resolve(stage.entries, before, str(stage)) if stage.entries else range(size)
        mask = np.zeros(size, np.float32)
        mask[list(index)] = stage.deviation
        shape = [1] * (len(before.space.shape) + 1)
        shape[before.axis] = size
        self._scale = torch.from_numpy(mask).view(shape)
        self._shape = before.space.shape
        self._is_bytes = before.space.dtype == np.uint8
        self._tag = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
        self.seen = before
        if not self._is_bytes:
            low, high = before.space.low.copy(), before.space.high.copy()
            low[list(index)], high[list(index)] = -np.inf, np.inf
            self.seen = Seen(box(low, high), before.features)
        self._streams: list[np.random.Generator] = []
        self._block, self._used = torch.zeros(0), 0

    def look(self, observations: Tensor, moment: Moment) -> Tensor:
        if moment.seed is not None:
            self._begin(moment.seed, observations)
        scale = self._scale.to(observations.device)
        noised = observations.float() + scale * self._draw()
        return noised.round().clamp(0, 255).to(torch.uint8) if self._is_bytes else noised

    def _begin(self, seed: int, observations: Tensor) -> None:
        self._block, self._used = torch.zeros(0), 0
        count = range(len(observations))
        self._streams = [np.random.default_rng([self._tag, seed + i]) for i in count]

    def _draw(self) -> Tensor:
        if self._used == len(self._block):
            length = max(1, _NOISE_BLOCK // int(np.prod(self._shape)))
            drawn = [s.standard_normal((length, *self._shape), np.float32) for s in self._streams]
            self._block, self._used = torch.from_numpy(np.stack(drawn, 1)), 0
        self._used += 1
        return self._block[self._used - 1]
