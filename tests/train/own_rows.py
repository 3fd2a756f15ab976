"""The rows with a learner of their own, made quick, and teachers with a hidden layer for them."""

from dataclasses import replace
from typing import Any

import torch
from small_runs import by_hand
from torch import nn

from rldistill.core import CategoricalHead, NetworkPolicy, QValueHead, Trajectory
from rldistill.methods.catalogue import get_method
from rldistill.methods.learner_settings import QLearning
from rldistill.methods.method import Method
from rldistill.methods.schedules import FirstRounds
from rldistill.train.checkpoint import flatten, load_checkpoint, save_checkpoint, unflatten

OWN = ("actor-mimic", "qdagger", "dual", "distral")


def quick_row(name: str, **changes: Any) -> Method:
    """Rounds of 512 steps; the teacher acts in one where it acts at all."""
    row = get_method(name)
    changes = {"learning": replace(row.learning, batch_size=64, learning_rate=3e-3)} | changes
    if isinstance(row.learner, QLearning):
        changes = {"control": replace(row.control, teacher_share=FirstRounds(1))} | changes
        changes = {"learner": replace(row.learner, target_period=20)} | changes
    return replace(row, round_steps=512, **changes)


def deep_follower(q_values: bool = False, name: str = "deep") -> NetworkPolicy:
    """Chooses 1 where the sum of both numbers is above 0, through two hidden units."""
    first, last = nn.Linear(2, 2), nn.Linear(2, 2)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[4.0, 4.0], [1.0, -1.0]]))
        last.weight.copy_(torch.tensor([[-2.0, 0.0], [2.0, 0.0]]))
        first.bias.zero_()
        last.bias.zero_()
    head = QValueHead(2) if q_values else CategoricalHead(2)
    return by_hand(nn.Sequential(first, nn.Tanh(), last), head, name)


def round_of(teacher: NetworkPolicy, seed: int = 0, length: int = 16, envs: int = 8) -> Trajectory:
    """Random states and actions without ends, labelled; reward 1 where the action is the sum's."""
    random = torch.Generator().manual_seed(seed)
    every = 2 * torch.rand(length + 1, envs, 2, generator=random) - 1
    actions = torch.randint(2, (length, envs), generator=random)
    no = torch.zeros(length, envs, dtype=torch.bool)
    with torch.no_grad():
        raw = teacher.raw(every[:-1].flatten(0, 1)).unflatten(0, (length, envs))
    return Trajectory(
        observations=every[:-1],
        actions=actions,
        rewards=((every[:-1].sum(-1) > 0) == actions.bool()).float(),
        terminated=no,
        truncated=no,
        valid=~no,
        teacher_raw=raw,
        last_observations=every[-1],
    )


def weights(policy: NetworkPolicy) -> list[torch.Tensor]:
    return [x.detach().clone() for x in policy.module.state_dict().values()]


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def through(folder: Any, old: Any, new: Any) -> None:
    """Save one learner and load it into another, as a run does; generators are the caller's."""
    tensors, rest = flatten("learner", old.state_dict())
    save_checkpoint(folder / "checkpoint", tensors, {"learner": rest})
    found, record = load_checkpoint(folder / "checkpoint")
    new.load_state_dict(unflatten(record["learner"], found))


def state_of(learner: Any) -> dict[str, torch.Tensor]:
    """All tensors of a learner's state by name."""
    return flatten("", learner.state_dict())[0]
