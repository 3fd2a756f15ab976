"""Holding out a part of a trajectory, and how much of its returns a value explains."""

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from rldistill.core import Trajectory

# Share of the environments whose episodes are held out.
HELD_OUT = 0.2
# Returns that deviate by less than this share of their size do not vary enough to be explained.
LEAST_DEVIATION = 0.01


def split(trajectory: Trajectory) -> tuple[Trajectory, Trajectory]:
    """What is learnt from, and what is held out: whole environments, or the end of a single one."""
    length, num_envs = trajectory.rewards.shape
    if num_envs > 1:
        held = max(1, round(HELD_OUT * num_envs))
        return columns(trajectory, 0, num_envs - held), columns(trajectory, num_envs - held, None)
    cut = max(1, round((1.0 - HELD_OUT) * length))
    return steps(trajectory, 0, cut), steps(trajectory, min(cut, length - 1), length)


def columns(trajectory: Trajectory, first: int, end: int | None) -> Trajectory:
    """Some of the environments, without what recurrent policies remember."""
    parts = _parts(trajectory)
    last = parts.pop("last_observations")[first:end]
    theirs = parts.pop("teacher_observations")
    return Trajectory(
        **{name: x[:, first:end] for name, x in parts.items()},
        last_observations=last,
        teacher_observations=None if theirs is None else theirs[:, first:end],
    )


def steps(trajectory: Trajectory, first: int, end: int) -> Trajectory:
    """Some of the time, likewise; what follows it is the observation after it."""
    parts = _parts(trajectory)
    last = parts.pop("last_observations")
    last = last if end == len(trajectory.rewards) else trajectory.observations[end]
    theirs = parts.pop("teacher_observations")
    return Trajectory(
        **{name: x[first:end] for name, x in parts.items()},
        last_observations=last,
        teacher_observations=None if theirs is None else theirs[first : end + 1],
    )


def _parts(trajectory: Trajectory) -> dict[str, Any]:
    names = [f.name for f in fields(trajectory) if f.name != "carried"]
    return {name: getattr(trajectory, name) for name in names}


def explained_variance(returns_: Tensor, values: Tensor, valid: Tensor) -> float | None:
    """1 - mean (G - V)^2 / Var(G) over the valid steps; None where G hardly varies.

    A value that is wrong by a constant explains less: bias counts.

    >>> import torch
    >>> every = torch.ones(3, dtype=torch.bool)
    >>> explained_variance(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 2.0]), every)
    1.0
    """
    found, said = returns_[valid].double(), values[valid].double()
    if not len(found):
        return None
    variance, size = float(found.var(correction=0)), float(found.square().mean())
    if variance <= LEAST_DEVIATION**2 * size:
        return None
    return 1.0 - float((found - said).square().mean()) / variance


def settled(trajectory: Trajectory) -> Tensor:
    """The valid steps [T, B] whose episode ends within the data; all valid ones where none does.

    The return of the others is mostly what the critic itself says of the last observation.
    """
    ended = (trajectory.terminated | trajectory.truncated) & trajectory.valid
    ends = torch.zeros_like(ended[0])
    found: list[Tensor] = []
    for t in reversed(range(len(ended))):
        ends = ended[t] | (ends & trajectory.valid[t])
        found.append(ends)
    whole = torch.stack(found[::-1]) & trajectory.valid
    return whole if bool(whole.any()) else trajectory.valid
