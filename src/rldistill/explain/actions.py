"""Actions of a policy in numbers and in words, and when two of them are the same."""

from typing import Any

import numpy as np

from rldistill.core import CategoricalHead, Head, NetworkPolicy, QValueHead
from rldistill.envs.naming import TaskNames
from rldistill.evaluation.agreement import CLOSE

Array = np.ndarray[Any, Any]
BATCH = 8192


def is_discrete(head: Head) -> bool:
    """Whether a policy with this head chooses one of several actions."""
    return isinstance(head, (CategoricalHead, QValueHead))


def acts(policy: NetworkPolicy, observations: Array) -> Array:
    """The policy's actions by mode: int64 [N], or float32 [N, D] within their bounds."""
    parts = [
        policy.predict(observations[start : start + BATCH])[0]
        for start in range(0, len(observations), BATCH)
    ]
    return np.concatenate(parts)


def sameness(head: Head, actions: Array, others: Array) -> Array:
    """How alike actions are, pair by pair: float64 [N] in [0, 1].

    Discrete: 1 where they are the same, else 0. Continuous: the share of dimensions that differ by
    at most 5 % of their range (of a unit where unbounded), as `agreement` counts them.

    >>> sameness(CategoricalHead(3), np.array([0, 1]), np.array([0, 2])).tolist()
    [1.0, 0.0]
    """
    if isinstance(head, (CategoricalHead, QValueHead)):
        return (actions == others).astype(np.float64)
    width = np.array(head.high) - np.array(head.low)
    width = np.where(np.isfinite(width), width, 1.0)
    apart = np.abs(actions.astype(np.float64) - others)
    return np.asarray((apart <= CLOSE * width).mean(-1))


def action_words(names: TaskNames, action: Array) -> str:
    """An action for people.

    >>> action_words(TaskNames((), ("left", "right")), np.array(1))
    'right'
    >>> action_words(TaskNames((), ("torque", "gas"), ("N m", "")), np.array([0.51234, -1.0]))
    'torque 0.512 N m, gas -1'
    """
    if action.ndim == 0:
        return names.actions[int(action)]
    units = names.action_units or ("",) * len(names.actions)
    return ", ".join(
        f"{name} {value:.3g} {unit}".rstrip()
        for name, value, unit in zip(names.actions, action, units, strict=True)
    )
