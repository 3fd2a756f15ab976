"""Residual convolutional students, the nets of IMPALA: "impala:small", "impala:32,64,64,fc1024"."""

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn.functional import relu

from rldistill.core import Head
from rldistill.errors import SettingError, did_you_mean
from rldistill.students.cnn_specs import MOST_CHANNELS, check_words
from rldistill.students.outputs import (
    Initialiser,
    new_log_std,
    output_sizes,
    raw_outputs,
    scale_linear,
)
from rldistill.students.pixels import PixelLayout
from rldistill.students.specs import split_words

MOST_SECTIONS = 16
_NUMBER = re.compile(r"[0-9]{1,9}")
_FULL = re.compile(r"fc([0-9]{1,9})")


@final
@dataclass(frozen=True, slots=True)
class ImpalaSpec:
    """Sections of one convolution, a max-pool that halves the pixels, and two residual blocks.

    Attributes:
        channels: of each section.
        hidden: width of the full layer before the last.
        init: "orthogonal" (gain sqrt 2, last layer 0.01) or "torch" (PyTorch's default).

    Raises:
        SettingError: a setting is unknown or out of range.
    """

    channels: tuple[int, ...] = (16, 32, 32)
    hidden: int = 256
    init: str = "torch"

    def __post_init__(self) -> None:
        if not 1 <= len(self.channels) <= MOST_SECTIONS:
            raise SettingError(
                f"give the channels of 1 to {MOST_SECTIONS} sections, such as 16,32,32,fc256"
            )
        for channels in self.channels:
            if not 1 <= channels <= MOST_CHANNELS:
                raise SettingError(f"channels must be 1 to {MOST_CHANNELS:,}, got {channels}")
        check_words((self.hidden,), "relu", self.init)

    def __str__(self) -> str:
        text = f"impala:{','.join(map(str, self.channels))},fc{self.hidden}"
        text = "impala:small" if text == "impala:16,32,32,fc256" else text
        return text if self.init == "torch" else f"{text},init={self.init}"


def parse_impala(name: str, rest: str) -> ImpalaSpec:
    """Read impala:small or impala:CHANNELS,...,fcWIDTH, and init=NAME.

    Raises:
        SettingError: an unknown word, or a size out of range.

    >>> parse_impala("impala", "small").channels
    (16, 32, 32)
    """
    words = split_words(rest)
    settings = {w.partition("=")[2] for w in words if w.startswith("init=")}
    layers = [word for word in words if not word.startswith("init=")]
    if len(words) - len(layers) > 1:
        raise SettingError("init is given twice")
    init = settings.pop() if settings else "torch"
    if layers == ["small"]:
        return ImpalaSpec(init=init)
    for word in layers[:-1]:
        if not _NUMBER.fullmatch(word):
            raise _unknown(name, word)
    width = _FULL.fullmatch(layers[-1]) if layers else None
    if width is None:
        raise _unknown(name, layers[-1] if layers else "")
    return ImpalaSpec(tuple(int(word) for word in layers[:-1]), int(width[1]), init)


def _unknown(name: str, word: str) -> SettingError:
    return SettingError(
        f"{name} is followed by small, or by channels and a full layer such as 16,32,32,fc256; got "
        f"{word!r:.40}." + did_you_mean(word[:40], ("small", "init="))
    )


@final
class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), each 3 x 3."""

    def __init__(self, channels: int, initialiser: Initialiser) -> None:
        super().__init__()
        self.first = initialiser.hidden(nn.Conv2d(channels, channels, 3, padding=1))
        self.second = initialiser.hidden(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(relu(self.first(relu(x))))


@final
class Impala(nn.Module):
    """The residual net of Espeholt et al. 2018 (arXiv:1802.01561), figure 3, without its LSTM."""

    def __init__(self, spec: ImpalaSpec, pixels: PixelLayout, head: Head) -> None:
        super().__init__()
        self.spec = spec
        self.pixels = pixels
        self.head = head
        initialiser = Initialiser(spec.init)
        layers: list[nn.Module] = []
        channels, *size = pixels.size
        for wider in spec.channels:
            layers += [
                initialiser.hidden(nn.Conv2d(channels, wider, 3, padding=1)),
                nn.MaxPool2d(3, stride=2, padding=1),
                Residual(wider, initialiser),
                Residual(wider, initialiser),
            ]
            channels, size = wider, [(n + 1) // 2 for n in size]
        full = initialiser.hidden(nn.Linear(channels * math.prod(size), spec.hidden))
        last = initialiser.last(nn.Linear(spec.hidden, output_sizes(head)[0]))
        self.layers = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), full, nn.ReLU(), last)
        self.log_std = new_log_std(head)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, observations: Tensor) -> Tensor:
        return raw_outputs(self.layers(self.pixels(observations)), self.head, self.log_std)


def build(spec: ImpalaSpec, observation_space: spaces.Box, head: Head) -> Impala:
    """An untrained network.

    Raises:
        TaskError: the observations are no pixels.
    """
    return Impala(spec, PixelLayout.of(observation_space), head)


def fresh(network: Impala) -> Impala:
    """An untrained network with the spec, inputs and head of another."""
    return Impala(network.spec, network.pixels, network.head)


def scale_outputs(network: Impala, factor: float) -> None:
    """Multiply the raw outputs of a head without log standard deviations by a number, in place."""
    scale_linear(network.layers[-1], factor)


def fold(network: Impala) -> Impala:
    """A copy on the CPU: there is nothing to fold."""
    return copy.deepcopy(network).cpu().requires_grad_(False)


def details(network: Impala) -> dict[str, Any]:
    """What a saved network needs to be known of it beside its spec."""
    return network.pixels.details()


def empty(
    spec: ImpalaSpec, observation_shape: tuple[int, ...], head: Head, record: Mapping[str, Any]
) -> Impala:
    """The network of a student.json, on the meta device.

    Raises:
        SettingError, TaskError: the record says no scale, or the shape is not that of pixels.
    """
    with torch.device("meta"):
        return Impala(spec, PixelLayout.from_record(observation_shape, record), head)
