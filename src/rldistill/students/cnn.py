"""Convolutional students: plain modules from pixels [B, ...] to the raw outputs of a head."""

import copy
import math
from collections.abc import Mapping
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head
from rldistill.errors import TaskError
from rldistill.students.cnn_specs import CnnSpec
from rldistill.students.outputs import (
    Initialiser,
    new_log_std,
    output_sizes,
    raw_outputs,
    scale_linear,
)
from rldistill.students.pixels import PixelLayout
from rldistill.students.specs import ACTIVATIONS


@final
class Cnn(nn.Module):
    """Convolutions, full layers, and the raw outputs that the head reads.

    Observations may have any number type; they are scaled inside, so that a frame of bytes and the
    same frame as floats give the same outputs.
    """

    def __init__(self, spec: CnnSpec, pixels: PixelLayout, head: Head) -> None:
        super().__init__()
        self.spec = spec
        self.pixels = pixels
        self.head = head
        convolutions, width = convolutional(spec, pixels)
        full = full_layers(spec, width, output_sizes(head)[0])
        self.layers = nn.Sequential(*convolutions, nn.Flatten(), *full)
        self.log_std = new_log_std(head)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, observations: Tensor) -> Tensor:
        return raw_outputs(self.layers(self.pixels(observations)), self.head, self.log_std)


def convolutional(spec: CnnSpec, pixels: PixelLayout) -> tuple[list[nn.Module], int]:
    """The convolutions of a spec with what stands behind each, and how many numbers they give.

    Raises:
        TaskError: the pixels are fewer than a kernel.
    """
    layers: list[nn.Module] = []
    channels, *size = pixels.size
    initialiser = Initialiser(spec.init)
    for layer in spec.convolutions:
        after = [layer.output(n) for n in size]
        if min(after) < 1:
            raise TaskError(
                f"{spec} does not fit observations of shape {pixels.shape}: its convolution "
                f"{layer} gets {size[0]} x {size[1]} pixels; choose smaller kernels or strides"
            )
        size = after
        convolution = nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, layer.padding)
        layers.append(initialiser.hidden(convolution))
        channels = layer.channels
        if spec.layer_norm:
            layers.append(nn.GroupNorm(1, channels))
        layers.append(ACTIVATIONS[spec.activation]())
    return layers, channels * math.prod(size)


def full_layers(spec: CnnSpec, width: int, num_outputs: int) -> list[nn.Module]:
    """The full layers of a spec behind width numbers, and the last layer."""
    layers: list[nn.Module] = []
    initialiser = Initialiser(spec.init)
    for hidden in spec.hidden:
        layers.append(initialiser.hidden(nn.Linear(width, hidden)))
        if spec.layer_norm:
            layers.append(nn.LayerNorm(hidden))
        layers.append(ACTIVATIONS[spec.activation]())
        width = hidden
    return [*layers, initialiser.last(nn.Linear(width, num_outputs))]


def build(spec: CnnSpec, observation_space: spaces.Box, head: Head) -> Cnn:
    """An untrained network.

    Raises:
        TaskError: the observations are no pixels, or too few.
    """
    return Cnn(spec, PixelLayout.of(observation_space), head)


def fresh(network: Cnn) -> Cnn:
    """An untrained network with the spec, inputs and head of another."""
    return Cnn(network.spec, network.pixels, network.head)


def fit_inputs(network: nn.Module, observations: Tensor) -> None:
    """Nothing: pixels are scaled by what their space allows."""


def scale_outputs(network: Cnn, factor: float) -> None:
    """Multiply the raw outputs of a head without log standard deviations by a number, in place."""
    scale_linear(network.layers[-1], factor)


def fold(network: Cnn) -> Cnn:
    """A copy on the CPU: there is nothing to fold."""
    return copy.deepcopy(network).cpu().requires_grad_(False)


def details(network: Cnn) -> dict[str, Any]:
    """What a saved network needs to be known of it beside its spec."""
    return network.pixels.details()


def empty(
    spec: CnnSpec, observation_shape: tuple[int, ...], head: Head, record: Mapping[str, Any]
) -> Cnn:
    """The network of a student.json, on the meta device.

    Raises:
        SettingError, TaskError: the record says no scale, or shape and spec do not fit.
    """
    with torch.device("meta"):
        return Cnn(spec, PixelLayout.from_record(observation_shape, record), head)
