"""The weights of a module of any class as plain data: written, counted, compared."""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from rldistill.errors import NotFiniteError, SettingError

# Differences between two sets of weights that one message names.
MOST_TOLD = 4


def serialise(module: nn.Module, name: str, half: bool = False) -> bytes:
    """A module's state_dict as the bytes of a safetensors file; shared tensors are written twice.

    Args:
        module: what is written.
        name: how messages call it.
        half: float32 in half precision, which takes half of the space.

    Raises:
        SettingError: something in it is not a tensor that the format can hold.
        NotFiniteError: a weight is too large for half precision.
    """
    # safetensors refuses tensors that share memory, such as tied weights: each gets its own.
    state: dict[str, Any] = module.state_dict()
    try:
        own = {key: value.detach().cpu().clone().contiguous() for key, value in state.items()}
        if half:
            own = {key: _halved(key, value, name) for key, value in own.items()}
        return save_tensors(own)
    except (
        AttributeError,
        KeyError,
        RuntimeError,
        SafetensorError,
        TypeError,
        ValueError,
    ) as error:
        raise SettingError(
            f"the student ({name}) cannot be saved as plain data: its state_dict must hold dense "
            f"tensors alone; {error}"
        ) from error


def _halved(key: str, tensor: Tensor, name: str) -> Tensor:
    if tensor.dtype != torch.float32:
        return tensor
    small = tensor.half()
    if not bool((small.isfinite() == tensor.isfinite()).all()):
        raise NotFiniteError(
            f"the student ({name}): {key} has a weight above 65,504, the largest number of half "
            "precision; save it in full"
        )
    return small


def widened(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a file, those in half precision as float32 where the module has that."""
    return {
        name: tensor.float()
        if tensor.dtype == torch.float16 and name in own and own[name].dtype == torch.float32
        else tensor
        for name, tensor in saved.items()
    }


def num_numbers(module: nn.Module) -> int:
    """Numbers that a module of any class acts with: parameters and float buffers, each once."""
    buffers = sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())
    return sum(parameter.numel() for parameter in module.parameters()) + buffers


def differences(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """How tensors of a file and of a module differ in names, shapes and types; "" if nowhere."""
    found = [f"{name} is saved and not in the module" for name in saved if name not in own]
    found += [f"{name} is in the module and not saved" for name in own if name not in saved]
    found += [
        f"{name} is saved as {_kind(saved[name])}, the module has {_kind(own[name])}"
        for name in own
        if name in saved and _kind(saved[name]) != _kind(own[name])
    ]
    more = f"; and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    return "; ".join(found[:MOST_TOLD]) + more


def _kind(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {tensor.dtype}"
