"""MLP students: plain modules from observations [B, ...], flattened, to the outputs of a head."""

import copy
import math
from collections.abc import Mapping
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head
from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.students.outputs import (
    Initialiser,
    new_log_std,
    output_sizes,
    raw_outputs,
    scale_linear,
)
from rldistill.students.specs import ACTIVATIONS, MlpSpec

# Features whose deviation is below this share of their size are constants: they are only centred.
CONSTANT_FEATURE = 1e-6
# Folding loses about 2^-24 of the largest sum over inputs of |weight * mean / std|: 128 keep it
# exact to 1e-5 before the first activation.
FOLD_LIMIT = 128.0


@final
class InputNormaliser(nn.Module):
    """(x - mean) / std per feature, clipped to [-clip, clip] where there is a clip.

    stays says that it is part of the network that acts, and not to be folded into the first layer.
    """

    mean: Tensor
    inverse_std: Tensor

    def __init__(self, num_inputs: int, clip: float | None = None) -> None:
        super().__init__()
        self.clip = clip
        self.stays = clip is not None
        self.register_buffer("mean", torch.zeros(num_inputs))
        self.register_buffer("inverse_std", torch.ones(num_inputs))

    def forward(self, observations: Tensor) -> Tensor:
        x = (observations - self.mean) * self.inverse_std
        return x if self.clip is None else x.clamp(-self.clip, self.clip)

    def fit(self, observations: Tensor) -> None:
        """Take mean and standard deviation from observations [N, ...], flattened.

        Raises:
            ShapeError: there are no observations.
            NotFiniteError: an observation is NaN or infinite.
        """
        if len(observations) == 0:
            raise ShapeError("cannot normalise inputs: there are no observations")
        if not bool(observations.isfinite().all()):
            raise NotFiniteError("cannot normalise inputs: an observation is NaN or infinite")
        x = observations.flatten(1).double()
        std, mean = torch.std_mean(x, dim=0, correction=0)
        constant = std <= CONSTANT_FEATURE * x.abs().amax(0).clamp(min=1.0)
        self.mean.copy_(mean)
        self.inverse_std.copy_(torch.where(constant, 1.0, 1.0 / std.clamp(min=1e-30)))


@final
class Mlp(nn.Module):
    """Input normaliser, hidden layers, and the raw outputs that the head reads."""

    def __init__(self, spec: MlpSpec, num_inputs: int, head: Head) -> None:
        super().__init__()
        self.spec = spec
        self.head = head
        self.num_inputs = num_inputs
        self.normaliser: InputNormaliser | None = InputNormaliser(num_inputs, spec.clip)
        self.layers = _layers(spec, num_inputs, output_sizes(head)[0])
        self.log_std = new_log_std(head)

    def forward(self, observations: Tensor) -> Tensor:
        x = observations.flatten(1).float()
        out = self.layers(x if self.normaliser is None else self.normaliser(x))
        return raw_outputs(out, self.head, self.log_std)

    def folded(self) -> "Mlp":
        """An equal network whose affine normaliser is folded into the first layer.

        W' = W diag(1/std), b' = b - W (mean/std), computed in float64. A clipping normaliser is not
        affine and stays a layer, and so does one whose means dwarf its deviations: there W' x and
        b' nearly cancel, which float32 cannot do. Returns a copy on the CPU; this network can go on
        training.
        """
        own = copy.deepcopy(self).cpu().requires_grad_(False)
        if own.normaliser is None:
            return own
        first = own.layers[0]
        assert isinstance(first, nn.Linear)
        weight = first.weight.double() * own.normaliser.inverse_std.double()
        shift = weight * own.normaliser.mean.double()
        if own.normaliser.clip is not None or float(shift.abs().sum(-1).max()) > FOLD_LIMIT:
            own.normaliser.stays = True
            return own
        first.bias.copy_(first.bias.double() - shift.sum(-1))
        first.weight.copy_(weight)
        own.normaliser = None
        return own


def num_parameters(module: nn.Module) -> int:
    """Numbers needed to act: parameters, plus the statistics of a normaliser that is kept."""
    kept = [
        layer.mean.numel() + layer.inverse_std.numel()
        for layer in module.modules()
        if isinstance(layer, InputNormaliser) and layer.stays
    ]
    return sum(parameter.numel() for parameter in module.parameters()) + sum(kept)


def _layers(spec: MlpSpec, num_inputs: int, num_outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    width, initialiser = num_inputs, Initialiser(spec.init)
    for hidden in spec.hidden:
        layers.append(initialiser.hidden(nn.Linear(width, hidden)))
        if spec.layer_norm:
            layers.append(nn.LayerNorm(hidden))
        layers.append(ACTIVATIONS[spec.activation]())
        width = hidden
    layers.append(initialiser.last(nn.Linear(width, num_outputs)))
    return nn.Sequential(*layers)


def build(spec: MlpSpec, observation_space: spaces.Box, head: Head) -> Mlp:
    """An untrained MLP for a box of any shape."""
    return Mlp(spec, math.prod(observation_space.shape), head)


def fresh(network: Mlp) -> Mlp:
    """An untrained MLP with the spec, inputs and head of another."""
    return Mlp(network.spec, network.num_inputs, network.head)


def fit_inputs(network: Mlp, observations: Tensor) -> None:
    """Fit the normaliser; a finished student has none: its weights already see raw observations."""
    if network.normaliser is not None:
        network.normaliser.fit(observations)


def scale_outputs(network: Mlp, factor: float) -> None:
    """Multiply the raw outputs of a head without log standard deviations by a number, in place."""
    scale_linear(network.layers[-1], factor)


def details(network: Mlp) -> dict[str, Any]:
    """What a saved MLP needs to be known of it beside its spec."""
    return {"normaliser": network.normaliser is not None}


def empty(
    spec: MlpSpec, observation_shape: tuple[int, ...], head: Head, record: Mapping[str, Any]
) -> Mlp:
    """The MLP of a student.json, on the meta device.

    Raises:
        SettingError: the record does not say whether there is a normaliser.
    """
    if not isinstance(kept := record.get("normaliser"), bool):
        raise SettingError("normaliser is missing or is not what it should be")
    with torch.device("meta"):
        network = Mlp(spec, math.prod(observation_shape), head)
    if network.normaliser is not None and kept:
        network.normaliser.stays = True
    else:
        network.normaliser = None
    return network
