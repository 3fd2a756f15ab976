"""Specs of MLPs: the short text that names one, such as "mlp:32,32" or "mlp:64,64,relu"."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

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
LARGEST_WIDTH = 65_536
MOST_LAYERS = 64
# Nine digits are far too wide already; more could be made slow to read.
_WIDTH = re.compile(r"-?[0-9]{1,9}")


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

    Raises:
        SettingError: a setting is unknown or out of range.
    """

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "tanh"
    layer_norm: bool = False
    init: str = "orthogonal"
    clip: float | None = None

    def __post_init__(self) -> None:
        if len(self.hidden) > MOST_LAYERS:
            raise SettingError(
                f"an MLP has at most {MOST_LAYERS} hidden layers, got {len(self.hidden)}"
            )
        for width in self.hidden:
            if not 1 <= width <= LARGEST_WIDTH:
                raise SettingError(f"a hidden width must be 1 to {LARGEST_WIDTH:,}, got {width}")
        for name, value, known in (
            ("activation", self.activation, tuple(ACTIVATIONS)),
            ("init", self.init, INITS),
        ):
            if value not in known:
                raise SettingError(
                    f"{name} must be one of {', '.join(known)}; got {value!r}."
                    + did_you_mean(value, known)
                )
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise SettingError(f"clip must be a finite number above 0, got {self.clip}")

    def __str__(self) -> str:
        words = [str(width) for width in self.hidden] or ["linear"]
        if self.activation != "tanh":
            words.append(self.activation)
        if self.layer_norm:
            words.append("layernorm")
        if self.init != "orthogonal":
            words.append(f"init={self.init}")
        if self.clip is not None:
            words.append(f"clip={self.clip!r}".removesuffix(".0"))
        return "mlp:" + ",".join(words)


def parse_mlp(name: str, rest: str) -> MlpSpec:
    """Read mlp:WIDTH,...[,ACTIVATION][,layernorm][,init=NAME][,clip=NUMBER], without its "mlp:".

    The name linear stands for mlp:linear.

    Raises:
        SettingError: unknown word (near names are given), a width below 1, or a setting that is
            given twice or has no effect.

    >>> parse_mlp("mlp", "64,32,relu").hidden
    (64, 32)
    >>> str(parse_mlp("mlp", "linear"))
    'mlp:linear'
    >>> str(parse_mlp("linear", ""))
    'mlp:linear'
    """
    words = ["linear", *split_words(rest)] if name == "linear" else split_words(rest)
    if not words:
        raise SettingError(f"give the hidden widths, for example {name}:32,32")
    return _spec(words)


def split_words(rest: str) -> list[str]:
    """The words of a spec, which commas part.

    >>> split_words("8, relu")
    ['8', 'relu']
    """
    return [word.strip() for word in rest.split(",")] if rest.strip() else []


def _spec(words: list[str]) -> MlpSpec:
    settings: dict[str, Any] = {}
    hidden: list[int] = []
    for word in words:
        if _WIDTH.fullmatch(word):
            hidden.append(int(word))
            continue
        name, value = _option(word)
        if name in settings:
            raise SettingError(f"{name} is given twice")
        settings[name] = value
    linear = settings.pop("linear", False)
    if linear and hidden:
        raise SettingError("linear means no hidden layer; leave it or the widths out")
    if not linear and not hidden:
        raise SettingError("give the hidden widths, or mlp:linear for none")
    if linear and not settings.keys().isdisjoint(("activation", "layer_norm")):
        raise SettingError("activation and layernorm have no effect without a hidden layer")
    return MlpSpec(hidden=tuple(hidden), **settings)


def _option(word: str) -> tuple[str, object]:
    """Name and value of the setting that a word stands for."""
    name, equals, value = word.partition("=")
    if word in ACTIVATIONS:
        return "activation", word
    if word == "layernorm":
        return "layer_norm", True
    if word == "linear":
        return "linear", True
    if name == "init" and equals:
        return "init", value
    if name == "clip" and equals:
        try:
            return "clip", float(value)
        except ValueError:
            raise SettingError(f"clip must be a number above 0, got {value!r}") from None
    known = [*ACTIVATIONS, "layernorm", "init=", "clip=", "linear"]
    raise SettingError(
        f"unknown word {word!r:.40}; known: {', '.join(known)}." + did_you_mean(word[:40], known)
    )
