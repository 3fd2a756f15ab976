"""Heads by name: what the outputs of a file mean, where the file does not say it."""

import math
from typing import Any

from gymnasium import spaces

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import SettingError, TaskError, did_you_mean
from rldistill.teachers.spaces import record_of_space

DISCRETE = {"categorical": CategoricalHead, "q-values": QValueHead}
CONTINUOUS = {
    "deterministic": DeterministicHead,
    "gaussian": GaussianHead,
    "squashed-gaussian": SquashedGaussianHead,
}
HEAD_NAMES = (*DISCRETE, *CONTINUOUS)


def check_head_name(name: str) -> str:
    """The name itself.

    Raises:
        SettingError: unknown; near names are given.

    >>> check_head_name("q-values")
    'q-values'
    """
    if name not in HEAD_NAMES:
        raise SettingError(
            f"unknown head {name!r}; known are {', '.join(HEAD_NAMES)}."
            f"{did_you_mean(name, HEAD_NAMES)}"
        )
    return name


def choose_head(
    head: Head | str | None, num_outputs: int, action_space: spaces.Space[Any] | None, what: str
) -> tuple[Head, tuple[str, ...]]:
    """The head of a network that gives num_outputs numbers, and a note where it was guessed.

    Args:
        head: said by the user; a name takes its sizes from num_outputs, its bounds from the task.
        num_outputs: of the network.
        action_space: of the task. Without a head: logits for Discrete; for Box the action where N =
            D, mean and log standard deviation where N = 2 D.
        what: how error messages call the source.

    Raises:
        SettingError: neither head nor space are given, or the name is unknown.
        TaskError: the outputs fit neither.
    """
    if head is None:
        found = guess_head(action_space, num_outputs, what)
        kind = type(found).__name__.removesuffix("Head")
        return found, (f"its {num_outputs} outputs are taken as {kind}",)
    if isinstance(head, str):
        head = _named(check_head_name(head), num_outputs, action_space, what)
    if head.num_outputs != num_outputs:
        raise TaskError(f"{what} gives {num_outputs} outputs, its head requires {head.num_outputs}")
    return head, ()


def _named(name: str, num_outputs: int, action_space: spaces.Space[Any] | None, what: str) -> Head:
    if name in DISCRETE:
        return DISCRETE[name](num_outputs)
    size = num_outputs if name == "deterministic" else num_outputs // 2
    task = record_of_space(action_space)
    fits = task.low is not None and task.high is not None and len(task.low) == size
    low = task.low if fits and task.low is not None else (-math.inf,) * size
    high = task.high if fits and task.high is not None else (math.inf,) * size
    if name == "squashed-gaussian" and not all(map(math.isfinite, (*low, *high))):
        raise TaskError(
            f"{what}: a squashed Gaussian needs finite action bounds; name the task (action_space)"
        )
    return CONTINUOUS[name](low, high)


def guess_head(action_space: spaces.Space[Any] | None, num_outputs: int, what: str) -> Head:
    """The head that an action space suggests for num_outputs numbers.

    Raises:
        SettingError: there is no space to guess from.
        TaskError: the outputs fit no head for it.
    """
    if action_space is None:
        raise SettingError(f"{what} needs a head: give head= (--head), or name the task")
    record = record_of_space(action_space)
    if record.count == num_outputs:
        return CategoricalHead(num_outputs)
    if record.low is not None and record.high is not None:
        dimensions = math.prod(record.shape or ())
        if num_outputs in (dimensions, 2 * dimensions):
            make = DeterministicHead if num_outputs == dimensions else GaussianHead
            return make(record.low, record.high)
    raise TaskError(f"{what} gives {num_outputs} outputs, which fit no head for {action_space}")
