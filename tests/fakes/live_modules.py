"""Modules as users write them, with what makes saving and training them hard."""

import torch
from torch import Tensor, nn


class Plain(nn.Module):
    """Two layers."""

    def __init__(self, num_inputs: int = 2, num_outputs: int = 2, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(num_inputs, width)
        self.last = nn.Linear(width, num_outputs)

    def forward(self, observations: Tensor) -> Tensor:
        return self.last(self.first(observations).tanh())


class Awkward(nn.Module):
    """Tied weights, dropout, batch normalisation, a mask of infinities and a frozen layer.

    Names that a checkpoint could confuse: a parameter called "tensor", one called "0".
    """

    mask: Tensor
    tensor: Tensor

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.first = nn.Linear(2, 8)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.middle = nn.Linear(8, 8)
        self.middle.weight = self.first_again = nn.Parameter(torch.eye(8))
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(8, 2)
        self.tensor = nn.Parameter(torch.zeros(2))
        self.register_parameter("0", nn.Parameter(torch.ones(2)))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def forward(self, observations: Tensor) -> Tensor:
        x = self.middle(self.frozen(self.first(observations)).tanh())
        x = self.last(self.dropout(self.norm(x))) + self.tensor
        scale: Tensor = self.get_parameter("0")
        return x * scale


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Equal names, and every tensor equal bit by bit."""
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name].cpu(), b[name].cpu()) for name in a)
