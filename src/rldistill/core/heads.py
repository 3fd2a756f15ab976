"""Heads: what the raw outputs [..., outputs] of a network mean."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, cast, final

from gymnasium import spaces
from torch import Tensor

from rldistill.core.distributions import Categorical, Deterministic, Gaussian, SquashedGaussian
from rldistill.errors import SettingError, TaskError

# Standard deviation, as a share of half the action range, given to a policy that has none.
DETERMINISTIC_STD = 0.1


@final
@dataclass(frozen=True, slots=True)
class CategoricalHead:
    """Raw outputs are logits [..., A]: log-probabilities up to a constant."""

    num_actions: int

    @property
    def num_outputs(self) -> int:
        return self.num_actions

    def __call__(self, raw: Tensor) -> Categorical:
        return Categorical(raw)


@final
@dataclass(frozen=True, slots=True)
class QValueHead:
    """Raw outputs are Q-values [..., A], in units of reward; acting by mode is acting greedily."""

    num_actions: int

    @property
    def num_outputs(self) -> int:
        return self.num_actions

    def __call__(self, raw: Tensor) -> Categorical:
        return Categorical(raw)


@final
@dataclass(frozen=True, slots=True)
class GaussianHead:
    """Raw outputs are mean [..., D] then log standard deviation [..., D], environment units."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def num_outputs(self) -> int:
        return 2 * len(self.low)

    def __call__(self, raw: Tensor) -> Gaussian:
        mean, log_std = raw.chunk(2, -1)
        return Gaussian(mean, log_std)


@final
@dataclass(frozen=True, slots=True)
class SquashedGaussianHead:
    """Raw outputs are mean then log standard deviation [..., 2 D] of the action before tanh."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def num_outputs(self) -> int:
        return 2 * len(self.low)

    def __call__(self, raw: Tensor) -> SquashedGaussian:
        mean, log_std = raw.chunk(2, -1)
        return SquashedGaussian(mean, log_std, raw.new_tensor(self.low), raw.new_tensor(self.high))


@final
@dataclass(frozen=True, slots=True)
class DeterministicHead:
    """Raw outputs are the action itself [..., D], environment units."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def num_outputs(self) -> int:
        return len(self.low)

    def __call__(self, raw: Tensor) -> Deterministic:
        return Deterministic(raw)


Head = CategoricalHead | QValueHead | GaussianHead | SquashedGaussianHead | DeterministicHead


def head_for(action_space: spaces.Space[Any], like: Head | None = None) -> Head:
    """The head a student of a teacher with head `like` needs on this action space.

    A student of a Q-network or of logits has logits. On a box the student takes its teacher's
    family, so that the divergences between the two are defined; without a teacher: Gaussian.

    Raises:
        TaskError: the space is neither Discrete nor a Box, or is not the teacher's.

    >>> head_for(spaces.Discrete(4), like=QValueHead(4))
    CategoricalHead(num_actions=4)
    """
    if isinstance(action_space, spaces.Discrete):
        count = int(action_space.n)
        if like is not None and like not in (CategoricalHead(count), QValueHead(count)):
            raise TaskError(f"the teacher's head is {like}, the task has {count} discrete actions")
        return CategoricalHead(count)
    if not isinstance(action_space, spaces.Box):
        raise TaskError(f"actions must be Discrete or a flat Box; this task has {action_space}")
    low, high = (
        tuple(float(x) for x in bound.ravel()) for bound in (action_space.low, action_space.high)
    )
    if isinstance(like, CategoricalHead | QValueHead):
        raise TaskError(f"the teacher chooses among discrete actions, the task has {action_space}")
    if like is not None and len(like.low) != len(low):
        raise TaskError(f"the teacher's actions have size {len(like.low)}, the task's {len(low)}")
    if isinstance(like, SquashedGaussianHead) and not all(map(math.isfinite, (*low, *high))):
        raise TaskError(
            f"a squashed policy needs finite action bounds; the task has {action_space}"
        )
    kind = GaussianHead if like is None else type(like)
    return kind(low, high)


_KINDS: dict[str, type[Head]] = {
    "categorical": CategoricalHead,
    "q-values": QValueHead,
    "gaussian": GaussianHead,
    "squashed-gaussian": SquashedGaussianHead,
    "deterministic": DeterministicHead,
}
_MOST_ACTIONS = 1 << 24


def head_to_json(head: Head) -> dict[str, Any]:
    """A head as plain JSON, infinite bounds as null.

    >>> head_to_json(GaussianHead((-1.0,), (math.inf,)))
    {'kind': 'gaussian', 'low': [-1.0], 'high': [None]}
    """
    kind = next(name for name, cls in _KINDS.items() if type(head) is cls)
    fields = {
        key: [x if math.isfinite(x) else None for x in value] if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(head).items()
    }
    return {"kind": kind, **fields}


def head_from_json(record: object) -> Head:
    """The inverse of head_to_json, for records from files that may be damaged or hostile.

    Raises:
        SettingError: the record is not a head.

    >>> head_from_json({"kind": "categorical", "num_actions": 4})
    CategoricalHead(num_actions=4)
    """
    fields = cast("dict[str, object]", record) if isinstance(record, dict) else {}
    name = fields.get("kind")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise SettingError(f"a head must have a kind among {', '.join(_KINDS)}; got {name!r:.40}")
    if kind is CategoricalHead or kind is QValueHead:
        count = fields.get("num_actions")
        if type(count) is not int or not 1 <= count <= _MOST_ACTIONS:
            raise SettingError(f"a head's num_actions must be 1 to 2**24; got {count!r:.40}")
        return kind(count)
    low = _bounds("low", fields.get("low"), -math.inf)
    high = _bounds("high", fields.get("high"), math.inf)
    if len(low) != len(high) or not all(a <= b for a, b in zip(low, high, strict=True)):
        raise SettingError("a head's low and high must have one length, low nowhere above high")
    return kind(low, high)


def _bounds(name: str, value: object, unbounded: float) -> tuple[float, ...]:
    given = cast("list[object]", value) if isinstance(value, list) else []
    bounds = tuple(unbounded if x is None else _number(x) for x in given)
    if not bounds or any(math.isnan(x) for x in bounds):
        raise SettingError(f"a head's {name} must be a list of numbers; got {value!r:.40}")
    return bounds


def _number(value: object) -> float:
    """A JSON number as a float; NaN for what is none, or is too large for one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if abs(value) < 1e300 else math.nan
