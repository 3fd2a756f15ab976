"""Single layers of torch as steps; what has none is refused by name, with the nearest that has."""

from typing import Any

import numpy as np
from torch import Tensor, nn

from rldistill.errors import SettingError
from rldistill.exporters.activations import NEAREST, OF_TORCH
from rldistill.exporters.steps import (
    Activation,
    ChannelNorm,
    Clip,
    Conv,
    Dense,
    Flatten,
    LayerNorm,
    MaxPool,
    Steps,
)
from rldistill.students.soft_tree import SoftTree

Array = np.ndarray[Any, Any]
SUPPORTED = (
    "nn.Sequential of nn.Linear, nn.Conv2d, nn.Flatten, nn.LayerNorm and the activations "
    f"{', '.join(cls.__name__ for cls in OF_TORCH)}"
)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)


def layer_steps(module: nn.Module) -> Steps:
    """The step of one layer of torch, none where it does nothing.

    Raises:
        SettingError: there is no such step; the message names the layer and the nearest.
    """
    match module:
        case nn.Linear():
            return (Dense(array(module.weight), _bias(module.bias, module.out_features)),)
        case nn.Conv2d():
            return (_conv(module),)
        case nn.Flatten() if (module.start_dim, module.end_dim) == (1, -1):
            return (Flatten(),)
        case nn.LayerNorm() if len(module.normalized_shape) == 1:
            size = module.normalized_shape[0]
            affine = module.elementwise_affine
            weight = array(module.weight) if affine else np.ones(size, np.float32)
            return (LayerNorm(weight, _bias(module.bias, size), float(module.eps)),)
        case nn.GroupNorm() if module.num_groups == 1 and module.affine:
            return (ChannelNorm(array(module.weight), array(module.bias), float(module.eps)),)
        case nn.MaxPool2d() if module.dilation == 1 and not module.ceil_mode:
            sizes = (module.kernel_size, module.stride, module.padding)
            kernel, stride, padding = map(_pair, sizes)
            return (MaxPool(kernel, stride, padding),)
        case nn.Identity() | nn.Dropout():
            return ()
        case nn.Hardtanh():
            low, high = (np.full(1, x, np.float32) for x in (module.min_val, module.max_val))
            return (Clip(low, high),)
        case nn.PReLU() if module.num_parameters != 1:
            raise SettingError(unsupported(module))
        case _ if type(module) in OF_TORCH:
            return (Activation(*OF_TORCH[type(module)](module)),)
        case _:
            raise SettingError(unsupported(module))


def unsupported(module: nn.Module) -> str:
    """What is said of a layer that cannot be exported."""
    name = type(module).__name__
    if isinstance(module, RECURRENT):
        return (
            f"{name} is recurrent, and recurrent policies cannot be exported yet; nearest is a "
            "policy without state, such as an MLP on stacked frames"
        )
    if isinstance(module, SoftTree):
        return f"{name} cannot be exported yet; nearest is a decision tree, such as tree:64"
    near = next((text for cls, text in NEAREST.items() if isinstance(module, cls)), None)
    nearest = f"; nearest is {near}" if near else ""
    return f"{name} cannot be exported{nearest}. Supported are {SUPPORTED}"


def _conv(module: nn.Conv2d) -> Conv:
    plain = module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
    padding = module.padding
    if not plain or isinstance(padding, str):
        raise SettingError(
            f"{module} cannot be exported; nearest is an nn.Conv2d without groups and dilation, "
            "with numbers of zeros as padding"
        )
    (down, right), (top, left) = module.stride, padding
    bias = _bias(module.bias, module.out_channels)
    return Conv(array(module.weight), bias, (int(down), int(right)), (int(top), int(left)))


def _bias(bias: Tensor | None, size: int) -> Array:
    return np.zeros(size, np.float32) if bias is None else array(bias)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def array(tensor: Tensor) -> Array:
    """A tensor's numbers."""
    return tensor.detach().cpu().numpy().copy()
