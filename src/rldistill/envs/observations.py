"""Any observation space as one Box: flat float32 numbers, or uint8 pixels left alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.envs.features import ObservationPart
from rldistill.errors import EnvironmentFailure, SettingError, TaskError, did_you_mean

Array = np.ndarray[Any, Any]
_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).tiny)


@final
@dataclass(frozen=True, slots=True)
class _Leaf:
    """One entry of the space: numbers as they are, or categories as one-hot blocks."""

    path: tuple[str | int, ...]
    low: Array  # [size], float32
    high: Array  # [size], float32
    nvec: Array | None = None  # [K], the sizes of K one-hot blocks; None for plain numbers
    start: Array | None = None  # [K], the first category of each block

    @property
    def size(self) -> int:
        return len(self.low)

    def encode(self, batch: Array) -> Array:
        """[B, ...] as the space has it -> [B, size] float32."""
        rows = batch.reshape(len(batch), -1)
        if self.nvec is None or self.start is None:
            return rows.astype(np.float32, copy=False)
        first_columns = np.cumsum(self.nvec) - self.nvec
        one_hot = np.zeros((len(rows), self.size), np.float32)
        one_hot[np.arange(len(rows))[:, None], first_columns + rows - self.start] = 1.0
        return one_hot


@final
class ObservationReader:
    """Batches of a space -> float32 [B, O] in the order of gymnasium.spaces.flatten.

    uint8 boxes of two or more axes are pixels and stay as they are, [B, ...] uint8. Discrete and
    MultiDiscrete become one-hot; Dict and Tuple are flattened (a Dict built from a plain mapping
    is sorted by key, as gymnasium does).

    Raises:
        TaskError: the space has no fixed size (Text, Sequence, Graph, OneOf).
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.parts: tuple[ObservationPart, ...] = ()
        self._leaves: tuple[_Leaf, ...] = ()
        self._is_identity = False
        if isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) >= 2:
            self._is_identity = True
            self.space: spaces.Box = spaces.Box(space.low, space.high, dtype=np.uint8)
            return
        self._leaves = tuple(_leaves(space, ()))
        low = np.concatenate([leaf.low for leaf in self._leaves])
        high = np.concatenate([leaf.high for leaf in self._leaves])
        self.space = spaces.Box(low, high, dtype=np.float32)
        self._is_identity = space.shape == self.space.shape and space.dtype == np.float32
        if isinstance(space, (spaces.Dict, spaces.Tuple)):
            self.parts = _parts(self._leaves)

    def __call__(self, batch: Any) -> Array:
        """Batched raw observations -> [B, O] float32 or [B, ...] uint8; copies only if it must.

        Raises:
            EnvironmentFailure: the observations are not of the space that was declared.
        """
        if self._is_identity:
            flat = np.asarray(batch, self.space.dtype)
        else:
            encoded = [leaf.encode(_pick(batch, leaf.path)) for leaf in self._leaves]
            flat = encoded[0] if len(encoded) == 1 else np.concatenate(encoded, axis=1)
        if flat.shape[1:] != self.space.shape:
            raise EnvironmentFailure(
                f"observations have shape {flat.shape[1:]}, the environment's own observation "
                f"space declares {self.space.shape}; correct its observation_space"
            )
        return flat


@final
class KeyReader:
    """Some entries of a Dict or Tuple observation, in the order in which they are named.

    A single entry is read as if it were all that the task observes, so that pixels stay pixels.

    Raises:
        SettingError: the space is neither Dict nor Tuple, or an entry is unknown or named twice.
    """

    def __init__(self, space: spaces.Space[Any], names: tuple[str, ...]) -> None:
        found = [_find(space, name) for name in names]
        self._paths = [path for path, _ in found]
        inner = [entry for _, entry in found]
        if len(set(self._paths)) < len(names):
            raise SettingError(f"view keys:{','.join(names)} names an entry twice")
        if self._paths == [(key,) for key in _entries(space)]:
            raise SettingError(f"view keys:{','.join(names)} has no effect: there are no others")
        self._reader = ObservationReader(inner[0] if len(inner) == 1 else spaces.Tuple(inner))
        self.space, parts = self._reader.space, self._reader.parts
        if len(inner) > 1:
            renamed = {str(i): name for i, name in enumerate(names)}
            parts = tuple(part._replace(name=_renamed(part.name, renamed)) for part in parts)
        elif not parts and len(self.space.shape) == 1:
            parts = (ObservationPart(names[0], 0, self.space.shape[0]),)
        self.parts = parts

    def __call__(self, batch: Any) -> Array:
        """Batched raw observations -> [B, O] float32 or [B, ...] uint8."""
        picked = [_reach(batch, path) for path in self._paths]
        return self._reader(picked[0] if len(picked) == 1 else tuple(picked))


def _renamed(name: str, names: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{names[first]}{dot}{rest}"


def _entries(space: spaces.Space[Any]) -> list[str | int]:
    if isinstance(space, spaces.Dict):
        return list(space.spaces)
    return list(range(len(space.spaces))) if isinstance(space, spaces.Tuple) else []


def _find(space: spaces.Space[Any], name: str) -> tuple[tuple[str | int, ...], spaces.Space[Any]]:
    """The path of an entry, and its space."""
    path: tuple[str | int, ...] = ()
    left = name
    while left:
        keys = _entries(space)
        if not keys:
            where = f"at {'.'.join(map(str, path))!r} there are none: " if path else ""
            raise SettingError(
                f"view keys:{name} needs a Dict or Tuple observation; {where}the task has {space}"
            )
        fits = [key for key in keys if left == str(key) or left.startswith(f"{key}.")]
        if not fits:
            near = did_you_mean(left, [str(key) for key in keys])
            raise SettingError(
                f"view keys: the observation has no entry {name!r:.60}.{near} It has "
                f"{', '.join(map(str, keys))}"
            )
        key = max(fits, key=lambda one: len(str(one)))
        inner: Any = space
        space, path, left = inner.spaces[key], (*path, key), left[len(str(key)) + 1 :]
    return path, space


def _reach(batch: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        batch = batch[key]
    return batch


def _pick(batch: Any, path: tuple[str | int, ...]) -> Array:
    return np.asarray(_reach(batch, path))


def _leaves(space: spaces.Space[Any], path: tuple[str | int, ...]) -> list[_Leaf]:
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        inner: Any = space.spaces
        named = inner.items() if isinstance(inner, Mapping) else enumerate(inner)
        return [leaf for key, entry in named for leaf in _leaves(entry, (*path, key))]
    if isinstance(space, spaces.Box):
        return [_Leaf(path, *_sane_bounds(space.low.ravel(), space.high.ravel()))]
    if isinstance(space, spaces.MultiBinary):
        size = int(np.prod(space.shape))
        return [_Leaf(path, np.zeros(size, np.float32), np.ones(size, np.float32))]
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        discrete = isinstance(space, spaces.Discrete)
        nvec = np.atleast_1d(space.n if discrete else space.nvec).ravel()
        start = np.atleast_1d(space.start).ravel()
        size = int(nvec.sum())
        return [_Leaf(path, np.zeros(size, np.float32), np.ones(size, np.float32), nvec, start)]
    where = f" at {'.'.join(map(str, path))!r}" if path else ""
    raise TaskError(
        f"observations must be Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of "
        f"these; this task has {space}{where}; give a wrapper that turns it into numbers"
    )


def _sane_bounds(low: Array, high: Array) -> tuple[Array, Array]:
    """Bounds in float32, unbounded where they cannot be meant.

    C++ backends fill in numeric limits: float max for "no upper bound" and, by the trap of
    numeric_limits<float>::min, the smallest positive number for "no lower bound".
    """
    low64, high64 = low.astype(np.float64), high.astype(np.float64)
    no_high = ~(high64 < _LARGEST)
    no_low = ~(low64 > -_LARGEST) | (no_high & (low64 == _SMALLEST)) | (low64 > high64)
    low64[no_low], high64[no_high] = -np.inf, np.inf
    return low64.astype(np.float32), high64.astype(np.float32)


def _parts(leaves: tuple[_Leaf, ...]) -> tuple[ObservationPart, ...]:
    stops = np.cumsum([leaf.size for leaf in leaves]).tolist()
    return tuple(
        ObservationPart(".".join(map(str, leaf.path)), stop - leaf.size, stop)
        for leaf, stop in zip(leaves, stops, strict=True)
    )
