"""Named tensors of a file, taken one by one until none is left unexplained."""

import re
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

from rldistill.errors import NotFiniteError, TeacherFileError, did_you_mean
from rldistill.teachers.archive import safe_text
from rldistill.teachers.layers import frozen

# Elementwise, without randomness, and usable with default arguments.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    cls.__name__: cls
    for cls in (
        *(nn.Tanh, nn.ReLU, nn.ELU, nn.SiLU, nn.LeakyReLU, nn.GELU, nn.Sigmoid, nn.Softplus),
        *(nn.SELU, nn.CELU, nn.Mish, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid),
        *(nn.LogSigmoid, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink),
        *(nn.Identity, nn.PReLU),
    )
}
_CLASS = re.compile(r"<class 'torch\.nn\.modules\.\w+\.(\w+)'>")


def activation_named(text: str, what: str) -> type[nn.Module]:
    """The activation that a file names, for example "<class 'torch.nn.modules.activation.ReLU'>".

    Raises:
        TeacherFileError: not a known elementwise activation of torch.

    >>> activation_named("<class 'torch.nn.modules.activation.ELU'>", "model.zip").__name__
    'ELU'
    """
    found = _CLASS.fullmatch(text)
    name = found[1] if found else text
    if name not in ACTIVATIONS:
        raise TeacherFileError(
            f"{what}: not supported yet: activation {safe_text(name)!r}; known are "
            f"{', '.join(ACTIVATIONS)}.{did_you_mean(safe_text(name), ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


@final
class Weights:
    """A state dict that knows which of its tensors have been used."""

    def __init__(self, tensors: Mapping[str, Tensor], what: str) -> None:
        """Take over tensors, as float32.

        Args:
            tensors: by name.
            what: how error messages call the file.

        Raises:
            NotFiniteError: a weight is NaN or infinite.
            TeacherFileError: there is no tensor, or one is not of a float type.
        """
        self.what = what
        self._left: dict[str, Tensor] = {}
        if not tensors:
            raise TeacherFileError(f"{what} holds no weights")
        for name, tensor in tensors.items():
            if not tensor.dtype.is_floating_point:
                raise TeacherFileError(f"{what}: {safe_text(name)} is {tensor.dtype}, not a float")
            weight = tensor.detach().to("cpu", torch.float32, copy=True)
            if not bool(weight.isfinite().all()):
                raise NotFiniteError(f"{what}: weight {safe_text(name)} holds NaN or infinity")
            self._left[name] = weight

    def names(self, prefix: str = "") -> list[str]:
        """Names not yet taken that begin with prefix."""
        return [name for name in self._left if name.startswith(prefix)]

    def take(self, name: str) -> Tensor:
        """One tensor, which is then used up.

        Raises:
            TeacherFileError: it is not there.
        """
        if name not in self._left:
            raise TeacherFileError(f"{self.what}: tensor {name} is missing")
        return self._left.pop(name)

    def drop(self, *prefixes: str) -> None:
        """Leave out what acting and valuing do not need, such as target networks."""
        self._left = {k: v for k, v in self._left.items() if not k.startswith(prefixes)}

    def linear(self, prefix: str) -> nn.Linear:
        """The linear layer prefix.weight [outputs, inputs], with prefix.bias [outputs] if any.

        Raises:
            TeacherFileError: missing or of inconsistent shape.
        """
        weight = self.take(f"{prefix}.weight")
        if weight.ndim != 2 or 0 in weight.shape:
            raise TeacherFileError(
                f"{self.what}: not supported yet: {prefix}.weight of shape {tuple(weight.shape)} "
                "(a matrix of a linear layer is required)"
            )
        outputs, inputs = weight.shape
        bias = self.take(f"{prefix}.bias") if f"{prefix}.bias" in self._left else None
        if bias is not None and bias.shape != (outputs,):
            raise TeacherFileError(
                f"{self.what}: {prefix}.bias has shape {tuple(bias.shape)}, "
                f"its weight {tuple(weight.shape)} requires ({outputs},)"
            )
        # On the meta device no random numbers are drawn: loading leaves the caller's seed alone.
        layer = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
        layer.weight = frozen(weight)
        if bias is not None:
            layer.bias = frozen(bias)
        return layer

    def convolution(self, prefix: str, stride: int, padding: int = 0) -> nn.Conv2d:
        """The convolution prefix.weight [outputs, inputs, k, k], with prefix.bias [outputs].

        Raises:
            TeacherFileError: missing or of inconsistent shape.
        """
        weight, bias = self.take(f"{prefix}.weight"), self.take(f"{prefix}.bias")
        if weight.ndim != 4 or 0 in weight.shape or bias.shape != weight.shape[:1]:
            raise TeacherFileError(
                f"{self.what}: {prefix}.weight of shape {tuple(weight.shape)} with a bias of "
                f"{tuple(bias.shape)} is no convolution of pictures"
            )
        outputs, inputs, *kernel = weight.shape
        size = (kernel[0], kernel[1])
        layer = nn.Conv2d(inputs, outputs, size, stride, padding, device="meta")
        layer.weight, layer.bias = frozen(weight), frozen(bias)
        return layer

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor not yet taken, () if there is none of that name."""
        return tuple(self._left[name].shape) if name in self._left else ()

    def stack(self, prefix: str, activation: type[nn.Module]) -> list[nn.Module]:
        """Linear layers prefix.0, prefix.2, ... with an activation after each, [] if there is none.

        Raises:
            TeacherFileError: other layers stand between them, or shapes do not chain.
        """
        layers: list[nn.Module] = []
        indices = {n.removeprefix(f"{prefix}.").split(".")[0] for n in self.names(f"{prefix}.")}
        position = 0
        while str(position) in indices:
            layer = self.linear(f"{prefix}.{position}")
            self._check_chain(layers, layer, f"{prefix}.{position}")
            layers += [layer, self._activation(activation, f"{prefix}.{position + 1}")]
            position += 2
        if left := self.names(f"{prefix}."):
            raise TeacherFileError(
                f"{self.what}: not supported yet: {safe_text(left[0])} (only linear layers with "
                "activations between them; no normalisation layers)"
            )
        return layers

    def network(self, prefix: str, activation: type[nn.Module]) -> list[nn.Module]:
        """As stack, for a network that must exist and whose last layer has no activation.

        Raises:
            TeacherFileError: it does not exist, or as in stack.
        """
        layers = self.stack(prefix, activation)
        if not layers:
            raise TeacherFileError(f"{self.what}: tensor {prefix}.0.weight is missing")
        return layers[:-1]

    def _activation(self, cls: type[nn.Module], prefix: str) -> nn.Module:
        if cls is not nn.PReLU:
            return cls()
        layer, name = nn.PReLU(), f"{prefix}.weight"
        if name in self._left:  # the last layer of a network has no activation
            slope = self.take(name)
            if slope.shape != (1,):
                raise TeacherFileError(
                    f"{self.what}: {name} has shape {tuple(slope.shape)}, not (1,)"
                )
            layer.weight = frozen(slope)
        return layer

    def _check_chain(self, layers: list[nn.Module], layer: nn.Linear, name: str) -> None:
        if layers and layer.in_features != (previous := widths(layers)[-1]):
            raise TeacherFileError(
                f"{self.what}: {name} takes {layer.in_features} inputs, "
                f"the layer before it gives {previous}"
            )

    def require_inputs(self, layer: nn.Linear, inputs: int, name: str) -> None:
        """Check that a layer takes what comes before it.

        Raises:
            TeacherFileError: it does not.
        """
        if layer.in_features != inputs:
            raise TeacherFileError(
                f"{self.what}: {name} takes {layer.in_features} inputs, {inputs} come in"
            )

    def finish(self) -> None:
        """Check that every tensor was used: a leftover means a network that was not understood.

        Raises:
            TeacherFileError: some were not.
        """
        if self._left:
            some = ", ".join(safe_text(name) for name in list(self._left)[:4])
            raise TeacherFileError(
                f"{self.what}: not supported yet: {len(self._left)} tensors without a known place "
                f"({some})"
            )


def widths(layers: list[nn.Module]) -> tuple[int, ...]:
    """Inputs of the first linear layer, then the outputs of each; () if there is none."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return (linear[0].in_features, *(layer.out_features for layer in linear)) if linear else ()
