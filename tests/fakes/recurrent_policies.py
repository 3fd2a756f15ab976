"""Policies that remember, with outputs that are known: they count, or are small networks."""

from dataclasses import replace
from typing import Any

import torch
from fake_policies import info_for
from torch import Tensor, nn

from rldistill.core import CategoricalHead, Head, NetworkPolicy, Recurrent, restarted
from rldistill.core.recurrent import rnn_state_shapes, run_rnn

HEAD = CategoricalHead(3)


class Counts(Recurrent):
    """Remembers how many observations of its episode it has read, and the sum of them.

    Outputs: 10 on the action count % 3; its count and its sum are the other outputs of a label.
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_read = 0

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((1,), (4,))

    def encode(self, observations: Tensor) -> Tensor:
        self.num_read += len(observations)
        return observations

    def remember(self, features: Tensor, state: Any, starts: Tensor) -> Any:
        found = []
        for x, fresh in zip(features, starts, strict=True):
            count, total = restarted(state, fresh)
            state = (count + 1, total + x)
            found.append(torch.cat([count, state[1]], -1))
        return torch.stack(found), state

    def decode(self, hidden: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(hidden[:, 0].long() % 3, 3).float() * 10 + hidden[:, 1:2]


def counting() -> NetworkPolicy:
    """Acts with the number of its step, modulo 3; all its logits hold the sum of seen[0] too."""
    module = Counts()
    return NetworkPolicy(module, replace(info_for(HEAD), state_shapes=module.state_shapes))


def num_read(of: NetworkPolicy) -> int:
    """Observations that a counting policy was shown."""
    assert isinstance(of.module, Counts)
    return of.module.num_read


class SmallRnn(Recurrent):
    """Torch's layers between two linear ones."""

    def __init__(self, rnn: nn.GRU | nn.LSTM, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.inner = nn.Linear(num_inputs, rnn.input_size)
        self.rnn = rnn
        self.outer = nn.Linear(rnn.hidden_size, num_outputs)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        return rnn_state_shapes(self.rnn)

    def encode(self, observations: Tensor) -> Tensor:
        return self.inner(observations)

    def remember(self, features: Tensor, state: Any, starts: Tensor) -> Any:
        return run_rnn(self.rnn, features, state, starts)

    def decode(self, hidden: Tensor) -> Tensor:
        return self.outer(hidden)


def small_rnn(
    head: Head = HEAD, kind: type[nn.GRU] | type[nn.LSTM] = nn.GRU, layers: int = 1, seed: int = 0
) -> NetworkPolicy:
    """A policy with random weights."""
    torch.manual_seed(seed)
    module = SmallRnn(kind(6, 5, num_layers=layers), 4, head.num_outputs)
    return NetworkPolicy(module, replace(info_for(head), state_shapes=module.state_shapes))
