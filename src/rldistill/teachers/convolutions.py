"""Convolutional trunks of others, rebuilt from the names and shapes of their tensors.

Weights do not tell strides: they are those of the published network with the same kernels.
"""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from rldistill.errors import MisfitError, TeacherFileError
from rldistill.teachers.weights import Weights

# Kernels of Mnih et al. 2015 and their strides.
NATURE = {8: 4, 4: 2, 3: 1}
ATARI = 84
SIDES = (ATARI, 64, *range(8, 257))
Shape = tuple[int, ...]


def nature(weights: Weights, prefix: str, positions: Sequence[int]) -> list[nn.Module]:
    """Convolutions prefix.N of 8, 4 and 3 pixels with strides 4, 2 and 1, a ReLU after each.

    Raises:
        TeacherFileError: missing, of other kernels, or their channels do not chain.

    Source: Mnih et al. 2015 (Nature 518), Methods.
    """
    layers: list[nn.Module] = []
    channels = None
    for position in positions:
        name = f"{prefix}.{position}"
        shape = weights.shape(f"{name}.weight")
        kernel = shape[-1] if len(shape) == 4 else 0
        if len(shape) == 4 and (kernel not in NATURE or shape[2] != kernel):
            raise TeacherFileError(
                f"{weights.what}: not supported yet: {name} with a kernel of {shape[2]} x {kernel} "
                "pixels, whose stride the file does not tell; known are 8, 4 and 3"
            )
        layer = weights.convolution(name, NATURE.get(kernel, 1))
        _check_channels(weights, name, channels, layer)
        channels = layer.out_channels
        layers += [layer, nn.ReLU()]
    return layers


def _check_channels(weights: Weights, name: str, before: int | None, layer: nn.Conv2d) -> None:
    if before is not None and layer.in_channels != before:
        raise TeacherFileError(
            f"{weights.what}: {name} takes {layer.in_channels} channels, {before} come in"
        )


@final
class Residual(nn.Module):
    """x + conv1(relu(conv0(relu(x)))), the sizes of x kept."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x.relu()).relu())


def impala(weights: Weights, prefix: str) -> list[nn.Module]:
    """Sections prefix.0, prefix.1, ...: a convolution, a max-pool by 2, two residual blocks.

    Raises:
        TeacherFileError: missing, not of 3 x 3 pixels, or their channels do not chain.

    Source: Espeholt et al. 2018 (arXiv:1802.01561), figure 3.
    """
    layers: list[nn.Module] = []
    channels = None
    position = 0
    while weights.names(f"{prefix}.{position}.conv."):
        name = f"{prefix}.{position}"
        first = _small(weights, f"{name}.conv", channels)
        channels = first.out_channels
        layers += [first, nn.MaxPool2d(3, 2, 1)]
        for block in ("res_block0", "res_block1"):
            one = _small(weights, f"{name}.{block}.conv0", channels)
            two = _small(weights, f"{name}.{block}.conv1", one.out_channels)
            if two.out_channels != channels:
                raise TeacherFileError(f"{weights.what}: {name}.{block} changes its channels")
            layers.append(Residual(one, two))
        position += 1
    return layers


def _small(weights: Weights, name: str, channels: int | None) -> nn.Conv2d:
    layer = weights.convolution(name, 1, 1)
    if layer.kernel_size != (3, 3):
        raise TeacherFileError(f"{weights.what}: {name} must have a kernel of 3 x 3 pixels")
    _check_channels(weights, name, channels, layer)
    return layer


def picture_shape(
    layers: list[nn.Module], features: int, task_shape: Shape | None, what: str
) -> Shape:
    """Shape [C, H, W] of pictures whose features are `features` numbers: the task's, else a square.

    Of the squares that fit, 84 x 84 pixels are taken, then 64 x 64, then the smallest.

    Args:
        layers: convolutions and what is between them.
        features: inputs of the linear layer behind them.
        task_shape: of the task's observations, None if unknown.
        what: how error messages call the file.

    Raises:
        MisfitError: the task's pictures do not fit.
        TeacherFileError: no square does.
    """
    channels = next(layer.in_channels for layer in layers if isinstance(layer, nn.Conv2d))
    if task_shape is not None:
        is_picture = len(task_shape) == 3 and task_shape[0] == channels
        if is_picture and _features(layers, task_shape) == features:
            return task_shape
        takes = f"takes pictures of {channels} channels that make {features} features"
        raise MisfitError(what, takes, f"gives {task_shape}")
    for side in SIDES:
        if _features(layers, (channels, side, side)) == features:
            return channels, side, side
    raise TeacherFileError(
        f"{what}: no square picture of {channels} channels gives {features} features to the layer "
        "behind the convolutions; name the task"
    )


def _features(layers: list[nn.Module], shape: Shape) -> int:
    """How many numbers come out; 0 where the picture is too small."""
    channels, *sides = shape
    for layer in (part for outer in layers for part in outer.modules()):
        if isinstance(layer, nn.Conv2d):
            channels = layer.out_channels
            # Strides and paddings are the same along both axes: nature and impala make them so.
            kernel, stride = layer.kernel_size[0], layer.stride[0]
            padding = layer.padding[0] if isinstance(layer.padding, tuple) else 0
            sides = [(side + 2 * padding - kernel) // stride + 1 for side in sides]
        elif isinstance(layer, nn.MaxPool2d):
            sides = [(side + 1) // 2 for side in sides]
        if min(sides) < 1:
            return 0
    return channels * math.prod(sides)


@final
class Flatten(nn.Module):
    """[..., C, H, W] to [..., C * H * W]."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(x, -3)
