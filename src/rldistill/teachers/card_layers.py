"""The layers that a card may name, and how each is made of tensors of the file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from rldistill.errors import TeacherFileError, did_you_mean
from rldistill.teachers.archive import safe_text
from rldistill.teachers.card_modules import Affine, Dueling, FlattenRows, Standardise
from rldistill.teachers.layers import frozen
from rldistill.teachers.weights import Weights

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}
RECURRENT = ("gru", "lstm")
MOST_DEEP = 4
LARGEST_WINDOW = 64
Options = Mapping[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Builder:
    """Makes layers of a card's entries.

    Attributes:
        weights: what the tensors are taken from.
        layout: "torch": kernels are (out, in) and (out, in, height, width), tensors are called
            NAME.weight and NAME.bias; "jax": (in, out) and (height, width, in, out), NAME.kernel
            and NAME.bias.
    """

    weights: Weights
    layout: str

    def layers(self, entries: Sequence[Any], where: str, depth: int = 0) -> list[nn.Module]:
        """The layers of a list of entries.

        Raises:
            TeacherFileError: an unknown kind (near names are given) or option, or a tensor that is
                missing or of a wrong shape.
        """
        if depth > MOST_DEEP:
            raise TeacherFileError(f"{self.weights.what}: {where} is nested too deeply")
        made: list[nn.Module] = []
        for index, entry in enumerate(entries):
            place = f"{where}[{index}]"
            try:
                made.append(self._layer(entry, place, depth))
            except RuntimeError as error:
                raise TeacherFileError(
                    f"{self.weights.what}: {place}: {safe_text(str(error), 200)}"
                ) from error
        return made

    def _layer(self, entry: Any, where: str, depth: int) -> nn.Module:
        kind, value, options = self._kind(entry, where)
        if kind in ACTIVATIONS:
            self._known(options, (), where)
            return ACTIVATIONS[kind]()
        if kind in RECURRENT:
            raise TeacherFileError(
                f"{self.weights.what}: not supported yet: {where} is a {kind}; recurrent teachers "
                "wait for policies with a state"
            )
        if kind == "dueling":
            return self._dueling(value, where, depth)
        return _KINDS[kind](self, value, options, where)

    def _kind(self, entry: Any, where: str) -> tuple[str, Any, Options]:
        table = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        if isinstance(entry, str):
            table = {entry: True}
        known = [*_KINDS, "dueling", *ACTIVATIONS, *RECURRENT]
        kinds = [key for key in table if key in known]
        if len(kinds) == 1:
            return kinds[0], table[kinds[0]], {k: v for k, v in table.items() if k != kinds[0]}
        word = safe_text(next(iter(table), repr(entry)))
        raise TeacherFileError(
            f"{self.weights.what}: {where} names {'several kinds' if kinds else 'no kind'} of layer"
            f" ({word!r}); known: {', '.join(known)}." + did_you_mean(word, known)
        )

    def _known(self, options: Options, known: tuple[str, ...], where: str) -> None:
        for key in options:
            if key not in known:
                raise TeacherFileError(
                    f"{self.weights.what}: {where} has no option {safe_text(key)!r}; "
                    f"known: {', '.join(known) or 'none'}." + did_you_mean(safe_text(key), known)
                )

    def _whole(self, options: Options, key: str, default: int, least: int, where: str) -> int:
        value = options.get(key, default)
        if type(value) is not int or not least <= value <= LARGEST_WINDOW:
            raise TeacherFileError(
                f"{self.weights.what}: {where}: {key} must be {least} to {LARGEST_WINDOW}, got "
                f"{safe_text(repr(value))}"
            )
        return value

    def _number(self, options: Options, key: str, default: float, where: str) -> float:
        value = options.get(key, default)
        if type(value) not in (int, float) or not 0 <= value < 1e9:
            raise TeacherFileError(
                f"{self.weights.what}: {where}: {key} must be a number from 0 on, got "
                f"{safe_text(repr(value))}"
            )
        return float(value)

    def _named(self, value: Any, where: str, kernel: str) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of NAME, or of [WEIGHT, BIAS], or of [WEIGHT] alone."""
        match value:
            case str() as name:
                bias = f"{name}.bias"
                has_bias = bias in self.weights.names(bias)
                return self.weights.take(f"{name}.{kernel}"), (
                    self.weights.take(bias) if has_bias else None
                )
            case [str() as weight]:
                return self.weights.take(weight), None
            case [str() as weight, str() as bias]:
                return self.weights.take(weight), self.weights.take(bias)
            case _:
                raise TeacherFileError(
                    f"{self.weights.what}: {where} must name its tensors: NAME, or "
                    f"[WEIGHT, BIAS]; got {safe_text(repr(value))}"
                )

    def _bias(self, bias: Tensor | None, size: int, where: str) -> nn.Parameter | None:
        if bias is not None and bias.shape != (size,):
            raise TeacherFileError(
                f"{self.weights.what}: the bias of {where} has shape {tuple(bias.shape)}, its "
                f"weight requires ({size},)"
            )
        return None if bias is None else frozen(bias)

    def linear(self, value: Any, options: Options, where: str) -> nn.Module:
        """nn.Linear; its sizes are those of the weight."""
        self._known(options, (), where)
        weight, bias = self._named(value, where, "kernel" if self.layout == "jax" else "weight")
        if weight.ndim != 2 or 0 in weight.shape:
            raise TeacherFileError(
                f"{self.weights.what}: {where}: a matrix is required, its weight has shape "
                f"{tuple(weight.shape)}"
            )
        weight = weight.T.contiguous() if self.layout == "jax" else weight
        outputs, inputs = weight.shape
        # On the meta device no random numbers are drawn: loading leaves the caller's seed alone.
        layer = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
        layer.weight = frozen(weight)
        layer.bias = cast("nn.Parameter", self._bias(bias, outputs, where))
        return layer

    def conv2d(self, value: Any, options: Options, where: str) -> nn.Module:
        """nn.Conv2d; channels and kernel are those of the weight."""
        self._known(options, ("stride", "padding"), where)
        weight, bias = self._named(value, where, "kernel" if self.layout == "jax" else "weight")
        if weight.ndim != 4 or 0 in weight.shape:
            raise TeacherFileError(
                f"{self.weights.what}: {where}: four axes are required, its weight has shape "
                f"{tuple(weight.shape)}"
            )
        weight = weight.permute(3, 2, 0, 1).contiguous() if self.layout == "jax" else weight
        outputs, inputs, height, width = weight.shape
        layer = nn.Conv2d(
            inputs,
            outputs,
            (height, width),
            self._whole(options, "stride", 1, 1, where),
            self._whole(options, "padding", 0, 0, where),
            bias=bias is not None,
            device="meta",
        )
        layer.weight = frozen(weight)
        layer.bias = self._bias(bias, outputs, where)
        return layer

    def layernorm(self, value: Any, options: Options, where: str) -> nn.Module:
        """nn.LayerNorm over the last axis."""
        self._known(options, ("epsilon",), where)
        weight, bias = self._named(value, where, "scale" if self.layout == "jax" else "weight")
        if weight.ndim != 1 or not len(weight):
            raise TeacherFileError(
                f"{self.weights.what}: {where}: one axis is required, its weight has shape "
                f"{tuple(weight.shape)}"
            )
        epsilon = self._number(options, "epsilon", 1e-5, where)
        layer = nn.LayerNorm(len(weight), epsilon, bias=bias is not None, device="meta")
        layer.weight = frozen(weight)
        layer.bias = cast("nn.Parameter", self._bias(bias, len(weight), where))
        return layer

    def maxpool(self, value: Any, options: Options, where: str) -> nn.Module:
        """nn.MaxPool2d with a square window."""
        self._known(options, ("stride", "padding"), where)
        size = self._whole({"maxpool": value}, "maxpool", 0, 1, where)
        stride = self._whole(options, "stride", size, 1, where)
        return nn.MaxPool2d(size, stride, self._whole(options, "padding", 0, 0, where))

    def flatten(self, value: Any, options: Options, where: str) -> nn.Module:
        """All axes behind the batch as one, in the order channels, height, width or as in jax."""
        self._known(options, (), where)
        if value not in (True, "chw", "hwc"):
            raise TeacherFileError(
                f'{self.weights.what}: {where}: flatten is "chw" (the default) or "hwc", got '
                f"{safe_text(repr(value))}"
            )
        return FlattenRows(channels_last=value == "hwc")

    def normaliser(self, value: Any, options: Options, where: str) -> nn.Module:
        """(x - shift) / (divide + epsilon), then clipped to [-clip, clip]."""
        self._known(options, (), where)
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        self._known(given, ("shift", "divide", "epsilon", "clip"), where)
        if not given:
            raise TeacherFileError(
                f"{self.weights.what}: {where}: a normaliser needs shift or divide"
            )
        divide = self._values(given, "divide", 1.0, where)
        divide = divide + self._number(given, "epsilon", 0.0, where)
        if bool((divide == 0).any()):
            raise TeacherFileError(f"{self.weights.what}: {where} divides by 0")
        clip = self._number(given, "clip", 0.0, where)
        return Standardise(self._values(given, "shift", 0.0, where), divide, clip or None)

    def affine(self, value: Any, options: Options, where: str) -> nn.Module:
        """x * multiply + add."""
        self._known(options, (), where)
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        self._known(given, ("multiply", "add"), where)
        return Affine(
            self._values(given, "multiply", 1.0, where), self._values(given, "add", 0.0, where)
        )

    def _values(self, given: Options, key: str, default: float, where: str) -> Tensor:
        """A number of the card, or the tensor of one axis that it names."""
        value = given.get(key, default)
        if isinstance(value, str):
            tensor = self.weights.take(value)
            if tensor.ndim > 1 or not tensor.numel():
                raise TeacherFileError(
                    f"{self.weights.what}: {where}: {safe_text(value)} must have one axis, it has "
                    f"shape {tuple(tensor.shape)}"
                )
            return tensor
        if type(value) not in (int, float) or not abs(value) < 1e9:
            raise TeacherFileError(
                f"{self.weights.what}: {where}: {key} must be a number or the name of a tensor, "
                f"got {safe_text(repr(value))}"
            )
        return torch.tensor(float(value))

    def _dueling(self, value: Any, where: str, depth: int) -> nn.Module:
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        self._known(given, ("advantage", "value"), where)
        parts = [given.get(key) for key in ("advantage", "value")]
        if not all(isinstance(part, list) and part for part in parts):
            raise TeacherFileError(
                f"{self.weights.what}: {where}: dueling needs layers for advantage and value"
            )
        names = (f"{where}.advantage", f"{where}.value")
        made = [
            nn.Sequential(*self.layers(cast("list[Any]", part), name, depth + 1))
            for part, name in zip(parts, names, strict=True)
        ]
        return Dueling(*made)


_KINDS: dict[str, Callable[[Builder, Any, Options, str], nn.Module]] = {
    "linear": Builder.linear,
    "conv2d": Builder.conv2d,
    "layernorm": Builder.layernorm,
    "maxpool": Builder.maxpool,
    "flatten": Builder.flatten,
    "normaliser": Builder.normaliser,
    "affine": Builder.affine,
}
