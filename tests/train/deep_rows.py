"""Rows with credit in small rounds, and teachers that have a value or a deviation."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from fake_policies import info_for

from rldistill.core import GaussianHead, NetworkPolicy
from rldistill.methods.catalogue import ROWS, get_method
from rldistill.methods.method import Method

DEEP = [name for name, row in ROWS.items() if row.is_actor_critic]


class Value(torch.nn.Module):
    """The mean return of a perfect policy: about right, and positive."""

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return torch.full((len(observations),), 4.0)


def with_value(teacher: NetworkPolicy, units: str = "raw") -> NetworkPolicy:
    return NetworkPolicy(teacher.module, replace(teacher.info, value_units=units), Value())


def deep(name: str, **changes: Any) -> Method:
    """A row with small rounds."""
    row = get_method(name)
    learning = replace(row.learning, batch_size=128, learning_rate=5e-3)
    return replace(row, round_steps=512, learning=learning, **changes)


def normal_tracker() -> NetworkPolicy:
    """The first number, with a deviation of 0.1."""
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        layer.bias.copy_(torch.tensor([0.0, np.log(0.1)]))
    info = info_for(GaussianHead((-1.0,), (1.0,)), 2)
    return NetworkPolicy(layer.requires_grad_(False), info)
