"""Holding out a part of a trajectory, and how much of its returns a value explains."""

from dataclasses import fields

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
    """Some of the environments."""
    parts = {f.name: getattr(trajectory, f.name) for f in fields(trajectory)}
    last = parts.pop("last_observations")[first:end]
    return Trajectory(
        **{name: x[:, first:end] for name, x in parts.items()}, last_observations=last
    )


def steps(trajectory: Trajectory, first: int, end: int) -> Trajectory:
    """Some of the time; what follows it is the observation after it."""
    parts = {f.name: getattr(trajectory, f.name) for f in fields(trajectory)}
    last = parts.pop("last_observations")
    last = last if end == len(trajectory.rewards) else trajectory.observations[end]
    return Trajectory(**{name: x[first:end] for name, x in parts.items()}, last_observations=last)


def explained_variance(returns_: Tensor, values: Tensor, valid: Tensor) -> float | None:
    """1 - Var(G - V) / Var(G) over the valid steps; None where G hardly varies.

    >>> import torch
    >>> every = torch.ones(3, dtype=torch.bool)
    >>> explained_variance(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0]), every)
    1.0
    """
    found, said = returns_[valid].double(), values[valid].double()
    if not len(found):
        return None
    variance, size = float(found.var(correction=0)), float(found.square().mean())
    if variance <= LEAST_DEVIATION**2 * size:
        return None
    return 1.0 - float((found - said).var(correction=0)) / variance
