"""MLP students: plain modules from observations [..., O] to the raw outputs of a head."""

import math
from typing import final

import torch
from torch import Tensor, nn

from rldistill.core import (
    DeterministicHead,
    GaussianHead,
    Head,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError
from rldistill.maths import gaussian
from rldistill.students.specs import ACTIVATIONS, MlpSpec

# A squashed Gaussian's log standard deviation is kept where its density is a number (as SB3 does).
LOG_STD_RANGE = (-20.0, 2.0)
# Features whose deviation is below this share of their size are constants: they are only centred.
CONSTANT_FEATURE = 1e-6


@final
class InputNormaliser(nn.Module):
    """(x - mean) / std per feature, clipped to [-clip, clip] where clip is finite."""

    mean: Tensor
    inverse_std: Tensor

    def __init__(self, num_inputs: int, clip: float | None = None) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(num_inputs))
        self.register_buffer("inverse_std", torch.ones(num_inputs))

    def forward(self, observations: Tensor) -> Tensor:
        x = (observations - self.mean) * self.inverse_std
        return x if self.clip is None else x.clamp(-self.clip, self.clip)

    def fit(self, observations: Tensor) -> None:
        """Take mean and standard deviation from observations [N, O].

        Raises:
            NotFiniteError: an observation is NaN or infinite.
        """
        if not bool(observations.isfinite().all()):
            raise NotFiniteError("cannot normalise inputs: an observation is NaN or infinite")
        x = observations.double()
        std, mean = torch.std_mean(x, dim=0, correction=0)
        constant = std <= CONSTANT_FEATURE * x.abs().amax(0).clamp(min=1.0)
        self.mean.copy_(mean)
        self.inverse_std.copy_(torch.where(constant, 1.0, 1.0 / std.clamp(min=1e-30)))


@final
class Mlp(nn.Module):
    """Input normaliser, hidden layers, and the raw outputs that the head reads.

    A Gaussian student has one learned log standard deviation per action dimension, as PPO's
    policies do; a squashed Gaussian one computes it from the state, as SAC's do; a deterministic one
    squashes its output into the action bounds where they are finite.
    """

    def __init__(self, spec: MlpSpec, num_inputs: int, head: Head) -> None:
        super().__init__()
        self.spec = spec
        self.head = head
        self.num_inputs = num_inputs
        self.normaliser: InputNormaliser | None = InputNormaliser(num_inputs, spec.clip)
        self.layers = _layers(spec, num_inputs, _num_network_outputs(head))
        self.log_std: nn.Parameter | None = None
        if isinstance(head, GaussianHead):
            self.log_std = nn.Parameter(torch.zeros(len(head.low)))

    def forward(self, observations: Tensor) -> Tensor:
        x = observations.flatten(1).to(self.layers[0].weight.dtype)  # pyright: ignore[reportArgumentType]
        out = self.layers(x if self.normaliser is None else self.normaliser(x))
        if self.log_std is not None:
            return torch.cat([out, self.log_std.expand_as(out)], -1)
        if isinstance(self.head, SquashedGaussianHead):
            mean, log_std = out.chunk(2, -1)
            return torch.cat([mean, log_std.clamp(*LOG_STD_RANGE)], -1)
        if isinstance(self.head, DeterministicHead):
            low, high = out.new_tensor(self.head.low), out.new_tensor(self.head.high)
            bounded = low.isfinite() & high.isfinite()
            return torch.where(bounded, gaussian.squash(out, low, high), out)
        return out

    def folded(self) -> "Mlp":
        """An equal network whose affine normaliser is folded into the first layer.

        W' = W diag(1/std), b' = b - W (mean/std), computed in float64. A clipping normaliser is not
        affine and stays a layer. Returns a copy; this network can go on training.
        """
        copy = Mlp(self.spec, self.num_inputs, self.head)
        copy.load_state_dict(self.state_dict())
        if copy.normaliser is None or copy.normaliser.clip is not None:
            return copy
        first = copy.layers[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            inverse_std = copy.normaliser.inverse_std.double()
            weight = first.weight.double() * inverse_std
            bias = first.bias.double() - weight @ copy.normaliser.mean.double()
            first.weight.copy_(weight)
            first.bias.copy_(bias)
        copy.normaliser = None
        return copy


def num_parameters(module: nn.Module) -> int:
    """Numbers needed to act: parameters, plus the statistics of a normaliser that is kept."""
    kept = [
        layer.mean.numel() + layer.inverse_std.numel()
        for layer in module.modules()
        if isinstance(layer, InputNormaliser) and layer.clip is not None
    ]
    return sum(parameter.numel() for parameter in module.parameters()) + sum(kept)


def _num_network_outputs(head: Head) -> int:
    return head.num_outputs // 2 if isinstance(head, GaussianHead) else head.num_outputs


def _layers(spec: MlpSpec, num_inputs: int, num_outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    width = num_inputs
    for hidden in spec.hidden:
        layers.append(_linear(width, hidden, math.sqrt(2.0), spec.init))
        if spec.layer_norm:
            layers.append(nn.LayerNorm(hidden))
        layers.append(ACTIVATIONS[spec.activation]())
        width = hidden
    layers.append(_linear(width, num_outputs, 0.01, spec.init))
    return nn.Sequential(*layers)


def _linear(num_inputs: int, num_outputs: int, gain: float, init: str) -> nn.Linear:
    layer = nn.Linear(num_inputs, num_outputs)
    if init == "orthogonal":
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return layer
