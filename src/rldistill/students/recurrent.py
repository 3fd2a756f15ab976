"""Recurrent students: an encoder of single observations, layers of GRU or LSTM units, outputs."""

import copy
import math
from collections.abc import Mapping
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head, Recurrent, State, Unrolled
from rldistill.core.recurrent import rnn_state_shapes, run_rnn
from rldistill.errors import TaskError
from rldistill.students.cnn import convolutional
from rldistill.students.cnn_specs import CnnSpec
from rldistill.students.mlp import InputNormaliser
from rldistill.students.outputs import (
    Initialiser,
    hidden_layers,
    new_log_std,
    output_sizes,
    raw_outputs,
    scale_linear,
)
from rldistill.students.pixels import PixelLayout
from rldistill.students.recurrent_specs import RecurrentSpec
from rldistill.students.specs import MlpSpec


@final
class RecurrentStudent(Recurrent):
    """What reads an observation, what remembers, and the raw outputs that the head reads.

    Numbers are normalised first; pixels are scaled by what their space allows.
    """

    def __init__(
        self, spec: RecurrentSpec, shape: tuple[int, ...], pixels: PixelLayout | None, head: Head
    ) -> None:
        super().__init__()
        self.spec, self.shape, self.pixels, self.head = spec, shape, pixels, head
        numbers = math.prod(shape)
        self.normaliser = None if pixels is not None else InputNormaliser(numbers, _clip(spec))
        if self.normaliser is not None:
            self.normaliser.stays = True
        self.is_finished = False  # its normaliser is what its weights were made with
        layers, width = _encoder(spec, numbers, pixels)
        self.encoder = nn.Sequential(*layers)
        units: list[nn.Module] = []
        for size in spec.sizes:
            units.append(_orthogonal(_KINDS[spec.kind](width, size)))
            width = size
        self.units = nn.ModuleList(units)
        init = "orthogonal" if spec.encoder is None else spec.encoder.init
        self.last = Initialiser(init).last(nn.Linear(width, output_sizes(head)[0]))
        self.log_std = new_log_std(head)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """h of each layer; of an LSTM, c after each h."""
        return tuple(shape for unit in self._units() for shape in rnn_state_shapes(unit))

    def encode(self, observations: Tensor) -> Tensor:
        if self.pixels is not None:
            return self.encoder(self.pixels(observations))
        x = observations.flatten(1).float()
        return self.encoder(x if self.normaliser is None else self.normaliser(x))

    def remember(self, features: Tensor, state: State, starts: Tensor) -> Unrolled:
        after: list[Tensor] = []
        for unit in self._units():
            count = len(rnn_state_shapes(unit))
            own, state = state[:count], state[count:]
            features, new = run_rnn(unit, features, own, starts)
            after += new
        return features, tuple(after)

    def decode(self, hidden: Tensor) -> Tensor:
        return raw_outputs(self.last(hidden), self.head, self.log_std)

    def _units(self) -> list[nn.GRU | nn.LSTM]:
        return [unit for unit in self.units if isinstance(unit, (nn.GRU, nn.LSTM))]


_KINDS: Mapping[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


def _clip(spec: RecurrentSpec) -> float | None:
    return spec.encoder.clip if isinstance(spec.encoder, MlpSpec) else None


def _encoder(
    spec: RecurrentSpec, numbers: int, pixels: PixelLayout | None
) -> tuple[list[nn.Module], int]:
    """The layers before the units, and how many numbers they give."""
    match spec.encoder:
        case None:
            return [], numbers
        case MlpSpec() as mlp:
            return hidden_layers(mlp, mlp.hidden, numbers)
        case CnnSpec() as cnn:
            assert pixels is not None, "build() and empty() give convolutions pixels"
            convolutions, width = convolutional(cnn, pixels)
            full, width = hidden_layers(cnn, cnn.hidden, width)
            return [*convolutions, nn.Flatten(), *full], width


def _orthogonal(unit: nn.GRU | nn.LSTM) -> nn.GRU | nn.LSTM:
    """What is remembered neither grows nor fades at first; an LSTM's forget gate is open."""
    weights = dict(unit.named_parameters())
    for gate in weights["weight_hh_l0"].data.split(unit.hidden_size):
        nn.init.orthogonal_(gate)
    if isinstance(unit, nn.LSTM):
        weights["bias_ih_l0"].data[unit.hidden_size : 2 * unit.hidden_size] = 1.0
    return unit


def build(spec: RecurrentSpec, observation_space: spaces.Box, head: Head) -> RecurrentStudent:
    """An untrained network.

    Raises:
        TaskError: it has convolutions and sees no pixels, or too few; or sees pixels with none.
    """
    shape = observation_space.shape
    if isinstance(spec.encoder, CnnSpec):
        return RecurrentStudent(spec, shape, PixelLayout.of(observation_space), head)
    if len(shape) == 3 and observation_space.dtype == "uint8":
        text = f"{spec.kind}:" + ",".join(str(size) for size in spec.sizes)
        raise TaskError(
            f"{spec} sees pixels of shape {shape}: give it convolutions first, such as "
            f"{text}:nature:25% or {text}:minatar"
        )
    return RecurrentStudent(spec, shape, None, head)


def fresh(network: RecurrentStudent) -> RecurrentStudent:
    """An untrained network with the spec, inputs and head of another."""
    return RecurrentStudent(network.spec, network.shape, network.pixels, network.head)


def fit_inputs(network: RecurrentStudent, observations: Tensor) -> None:
    """Fit the normaliser, unless it is that of a finished student."""
    if network.normaliser is not None and not network.is_finished:
        network.normaliser.fit(observations)


def scale_outputs(network: RecurrentStudent, factor: float) -> None:
    """Multiply the raw outputs of a head without log standard deviations by a number, in place."""
    scale_linear(network.last, factor)


def fold(network: RecurrentStudent) -> RecurrentStudent:
    """A copy on the CPU, whose normaliser stays."""
    own = copy.deepcopy(network).cpu().requires_grad_(False)
    own.is_finished = True
    return own


def details(network: RecurrentStudent) -> dict[str, Any]:
    """What a saved network needs to be known of it beside its spec."""
    return {} if network.pixels is None else network.pixels.details()


def empty(
    spec: RecurrentSpec, observation_shape: tuple[int, ...], head: Head, record: Mapping[str, Any]
) -> RecurrentStudent:
    """The network of a student.json, on the meta device.

    Raises:
        SettingError, TaskError: the record says no scale, or shape and spec do not fit.
    """
    pixels = None
    if isinstance(spec.encoder, CnnSpec):
        pixels = PixelLayout.from_record(observation_shape, record)
    with torch.device("meta"):
        network = RecurrentStudent(spec, observation_shape, pixels, head)
    network.is_finished = True
    return network
