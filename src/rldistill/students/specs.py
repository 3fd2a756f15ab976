"""Student specs: the short text that names a network, such as "mlp:32,32" or "mlp:64,64,relu"."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import nn

from rldistill.errors import SettingError, did_you_mean

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
INITS = ("orthogonal", "torch")
FAMILIES = ("mlp",)
LARGEST_WIDTH = 65_536


@final
@dataclass(frozen=True, slots=True)
class MlpSpec:
    """A multi-layer perceptron.

    Attributes:
        hidden: widths of the hidden layers; () is a linear policy.
        activation: a key of ACTIVATIONS.
        layer_norm: LayerNorm before each activation.
        init: "orthogonal" (gain sqrt 2, last layer 0.01) or "torch" (PyTorch's default).
        clip: normalised inputs are clipped to [-clip, clip]; None leaves the input normaliser
            affine, so that it folds into the first layer when the student is saved.
    """

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "tanh"
    layer_norm: bool = False
    init: str = "orthogonal"
    clip: float | None = None

    def __str__(self) -> str:
        words = [str(width) for width in self.hidden] or ["linear"]
        if self.activation != "tanh":
            words.append(self.activation)
        if self.layer_norm:
            words.append("layernorm")
        if self.init != "orthogonal":
            words.append(f"init={self.init}")
        if self.clip is not None:
            words.append(f"clip={self.clip:g}")
        return "mlp:" + ",".join(words)


def parse_spec(text: str) -> MlpSpec:
    """Read a student spec: mlp:WIDTH,...[,ACTIVATION][,layernorm][,init=NAME][,clip=NUMBER].

    Raises:
        SettingError: unknown family or word (near names are given), or a width below 1.

    >>> parse_spec("mlp:64,32,relu").hidden
    (64, 32)
    >>> str(parse_spec("mlp:linear"))
    'mlp:linear'
    """
    family, colon, rest = text.strip().partition(":")
    if family not in FAMILIES:
        raise SettingError(
            f"student {text!r}: unknown family {family!r}; known: {', '.join(FAMILIES)}."
            + did_you_mean(family, FAMILIES)
        )
    words = [word.strip() for word in rest.split(",")] if rest else []
    if not colon or not words:
        raise SettingError(f"student {text!r}: give the hidden widths, for example mlp:32,32")
    settings: dict[str, object] = {}
    hidden: list[int] = []
    for word in words:
        if word.lstrip("-").isdigit():
            hidden.append(_width(text, int(word)))
        else:
            _set_option(text, word, settings)
    if not hidden and "linear" not in words:
        raise SettingError(f"student {text!r}: give the hidden widths, or mlp:linear for none")
    return MlpSpec(hidden=tuple(hidden), **settings)  # pyright: ignore[reportArgumentType]


def _width(text: str, width: int) -> int:
    if not 1 <= width <= LARGEST_WIDTH:
        raise SettingError(
            f"student {text!r}: a hidden width must be 1 to {LARGEST_WIDTH:,}, got {width}"
        )
    return width


def _set_option(text: str, word: str, settings: dict[str, object]) -> None:
    name, equals, value = word.partition("=")
    if word in ACTIVATIONS:
        settings["activation"] = word
    elif word == "layernorm":
        settings["layer_norm"] = True
    elif name == "init" and equals:
        if value not in INITS:
            raise SettingError(f"student {text!r}: init must be one of {', '.join(INITS)}")
        settings["init"] = value
    elif name == "clip" and equals:
        settings["clip"] = _clip(text, value)
    elif word != "linear":
        known = [*ACTIVATIONS, "layernorm", "init=", "clip=", "linear"]
        raise SettingError(
            f"student {text!r}: unknown word {word!r}; known: {', '.join(known)}."
            + did_you_mean(word, known)
        )


def _clip(text: str, value: str) -> float:
    try:
        clip = float(value)
    except ValueError:
        clip = -1.0
    if not clip > 0:
        raise SettingError(f"student {text!r}: clip must be a number above 0, got {value!r}")
    return clip
