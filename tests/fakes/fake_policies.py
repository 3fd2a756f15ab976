"""Policies whose every output is known, and that count what they are asked."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
    SquashedGaussianHead,
)

INFINITY = float("inf")
# One of every kind, with the bounds that are hard to write down and to act in.
HEADS: dict[str, Head] = {
    "categorical": CategoricalHead(3),
    "q-values": QValueHead(3),
    "gaussian": GaussianHead((-1.0, -INFINITY), (INFINITY, 2.0)),
    "squashed-gaussian": SquashedGaussianHead((-1.0, 0.0), (1.0, 4.0)),
    "deterministic": DeterministicHead((-1.0, -INFINITY), (3.0, INFINITY)),
}


class Asked(nn.Module):
    """Applies a function and counts the states it was applied to."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.num_states = 0

    def forward(self, observations: Tensor) -> Tensor:
        self.num_states += len(observations)
        return self.function(observations)


def info_for(head: Head, num_inputs: int = 4, name: str = "fake") -> PolicyInfo:
    return PolicyInfo(
        name=name,
        framework="tests",
        observation_shape=(num_inputs,),
        head=head,
        acting_parameters=0,
        parameters=0,
    )


def policy(
    function: Callable[[Tensor], Tensor] | nn.Module, head: Head, num_inputs: int = 4
) -> NetworkPolicy:
    """A policy whose raw outputs are function(observations), or those of a module."""
    module = function if isinstance(function, nn.Module) else Asked(function)
    return NetworkPolicy(module, info_for(head, num_inputs))


def always(raw: list[float], head: Head, num_inputs: int = 4) -> NetworkPolicy:
    """A policy with the same raw outputs in every state."""
    return policy(lambda x: torch.tensor(raw).expand(len(x), -1), head, num_inputs)


def num_asked(of: NetworkPolicy) -> int:
    """States that a policy made here was asked about."""
    assert isinstance(of.module, Asked)
    return of.module.num_states
