"""Memory: the state that recurrent policies carry from step to step, and the networks that do.

A state is a tuple of tensors [B, ...], batch first; () of a policy without memory. The state at the
start of an episode is zero in all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rldistill.errors import NotFiniteError, ShapeError

State = tuple[Tensor, ...]
# What T steps gave, and the state after them.
Unrolled = tuple[Tensor, State]


class Recurrent(nn.Module, ABC):
    """A network with memory: an encoder of single observations, a memory, and a decoder.

    Encoder and decoder see all T B observations of a sequence at once; the memory alone goes
    through time. Calling it unrolls it.
    """

    @property
    @abstractmethod
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of each tensor that it remembers, without the batch."""

    @abstractmethod
    def encode(self, observations: Tensor) -> Tensor:
        """Observations [N, ...] to what the memory reads [N, ...]."""

    @abstractmethod
    def remember(self, features: Tensor, state: State, starts: Tensor) -> Unrolled:
        """Features [T, B, ...] through time: [T, B, H], and the state after them.

        Where starts [T, B] the state is reset before the features are read.
        """

    @abstractmethod
    def decode(self, hidden: Tensor) -> Tensor:
        """What the memory gave [N, H] to raw outputs [N, outputs]."""

    def forward(self, observations: Tensor, state: State, starts: Tensor) -> Unrolled:
        """Raw outputs [T, B, outputs] for observations [T, B, ...], and the state after them."""
        size = observations.shape[:2]
        features = self.encode(observations.flatten(0, 1)).unflatten(0, size)
        hidden, after = self.remember(features, state, starts)
        return self.decode(hidden.flatten(0, 1)).unflatten(0, size), after

    def step(self, observations: Tensor, state: State) -> tuple[Tensor, State]:
        """Raw outputs [B, outputs] for observations [B, ...], and the state after them."""
        never = torch.zeros((1, len(observations)), dtype=torch.bool, device=observations.device)
        hidden, after = self.remember(self.encode(observations)[None], state, never)
        return self.decode(hidden[0]), after


def zero_state(
    shapes: tuple[tuple[int, ...], ...], batch: int, device: torch.device | None = None
) -> State:
    """The state at the start of `batch` episodes.

    >>> [tuple(x.shape) for x in zero_state(((3,), (2,)), 4)]
    [(4, 3), (4, 2)]
    """
    return tuple(torch.zeros((batch, *shape), device=device) for shape in shapes)


def state_shapes_of(module: nn.Module | None) -> tuple[tuple[int, ...], ...]:
    """What a network remembers; () for one without memory.

    >>> state_shapes_of(nn.Linear(2, 2))
    ()
    """
    return module.state_shapes if isinstance(module, Recurrent) else ()


def restarted(state: State, starts: Tensor) -> State:
    """The state with that of a start where starts [B], and no gradient from before it.

    >>> restarted((torch.ones(2, 1),), torch.tensor([True, False]))[0].tolist()
    [[0.0], [1.0]]
    """
    return tuple(x.masked_fill(starts.view(-1, *(1,) * (x.ndim - 1)), 0.0) for x in state)


def detached(state: State) -> State:
    """The same numbers without their gradient: where truncated backpropagation stops."""
    return tuple(x.detach() for x in state)


def lanes(state: State, index: Tensor) -> State:
    """The state of some of the environments."""
    return tuple(x[index] for x in state)


def memoryless(function: Callable[[Tensor], Tensor], observations: Tensor) -> Tensor:
    """What a function of single observations [N, ...] gives for observations [T, B, ...]."""
    return function(observations.flatten(0, 1)).unflatten(0, observations.shape[:2])


class Memoryless(ABC):
    """What a policy without memory says of its state: it has none."""

    @abstractmethod
    def raw(self, observations: Tensor) -> Tensor:
        """Raw outputs [B, outputs]."""

    def initial_state(self, batch: int) -> State:
        """Nothing."""
        del batch
        return ()

    def step(self, observations: Tensor, state: State) -> tuple[Tensor, State]:
        """Raw outputs [B, outputs] for observations [B, ...]."""
        return self.raw(observations), state

    def unroll(self, observations: Tensor, state: State, starts: Tensor) -> Unrolled:
        """Raw outputs [T, B, outputs] for observations [T, B, ...]."""
        del starts
        return memoryless(self.raw, observations), state


def require_state(state: object, like: State) -> State:
    """A state from outside, as tensors.

    Raises:
        ShapeError: it is no tuple of arrays of these shapes.
        NotFiniteError: it holds NaN or infinity.
    """
    wanted = ", ".join(str([*x.shape]) for x in like)
    if not isinstance(state, (tuple, list)) or len(cast("tuple[object, ...]", state)) != len(like):
        raise ShapeError(f"a state of {len(like)} arrays was required ({wanted})")
    found: list[Tensor] = []
    for given, own in zip(cast("tuple[object, ...]", state), like, strict=True):
        array = np.asarray(given)
        if array.shape != tuple(own.shape) or array.dtype.kind not in "fiub":
            raise ShapeError(
                f"the state must be arrays of shapes {wanted}; got {array.dtype} {[*array.shape]}"
            )
        if not np.isfinite(array).all():
            raise NotFiniteError("the state holds NaN or infinity")
        found.append(torch.as_tensor(array, dtype=own.dtype, device=own.device))
    return tuple(found)


def run_rnn(rnn: nn.GRU | nn.LSTM, features: Tensor, state: State, starts: Tensor) -> Unrolled:
    """Features [T, B, F] through torch's own recurrent layers, which are reset where starts.

    Every environment's steps are cut at its starts into pieces, which all run at once.

    Args:
        rnn: time first, in one direction.
        features: what it reads.
        state: per layer h [B, H], and after it c [B, H] for an LSTM.
        starts: [T, B].

    Returns:
        The last layer's h [T, B, H], and the state after the last step.
    """
    length, batch = starts.shape
    if length == 1:
        hidden, after = rnn(features, _stacked(rnn, restarted(state, starts[0])))
        return hidden, _unstacked(rnn, after)
    if not bool(starts[1:].any()):
        hidden, after = rnn(features, _stacked(rnn, restarted(state, starts[0])))
        return hidden, _unstacked(rnn, after)
    # Lane by lane in time: a piece begins at each lane's first step and at each start.
    begins = starts.clone()
    begins[0] = True
    order = begins.T.flatten()
    first = order.nonzero().squeeze(-1)
    lengths = torch.diff(first, append=first.new_tensor([length * batch]))
    lane, time = first // length, first % length
    carried = restarted(lanes(state, lane), (time > 0) | starts[time, lane])
    pieces = features.transpose(0, 1).flatten(0, 1).split(lengths.tolist())
    padded = nn.utils.rnn.pad_sequence(list(pieces))
    packed = pack_padded_sequence(padded, lengths.cpu(), enforce_sorted=False)
    out, after = rnn(packed, _stacked(rnn, carried))
    hidden, _ = pad_packed_sequence(cast("PackedSequence", out))
    inside = torch.arange(len(hidden), device=lengths.device)[:, None] < lengths
    flat = hidden.transpose(0, 1)[inside.T]
    last = torch.cat([lane[1:] != lane[:-1], lane.new_ones(1, dtype=torch.bool)])
    whole = flat.unflatten(0, (batch, length)).transpose(0, 1)
    return whole, lanes(_unstacked(rnn, after), last.nonzero().squeeze(-1))


def rnn_state_shapes(rnn: nn.GRU | nn.LSTM) -> tuple[tuple[int, ...], ...]:
    """What run_rnn carries.

    >>> rnn_state_shapes(nn.LSTM(2, 5, num_layers=2))
    ((5,), (5,), (5,), (5,))
    """
    per_layer = 2 if isinstance(rnn, nn.LSTM) else 1
    return ((rnn.hidden_size,),) * (per_layer * rnn.num_layers)


def _stacked(rnn: nn.GRU | nn.LSTM, state: State) -> Tensor | tuple[Tensor, Tensor]:
    """[layers, B, H], as torch takes it."""
    if isinstance(rnn, nn.LSTM):
        return torch.stack(state[0::2]), torch.stack(state[1::2])
    return torch.stack(state)


def _unstacked(rnn: nn.GRU | nn.LSTM, after: object) -> State:
    if isinstance(rnn, nn.LSTM):
        hidden, cell = cast("tuple[Tensor, Tensor]", after)
        return tuple(x for pair in zip(hidden, cell, strict=True) for x in pair)
    return tuple(cast("Tensor", after))
