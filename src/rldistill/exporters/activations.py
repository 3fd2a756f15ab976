"""Elementwise functions that exports know: of torch, in numpy, in C and as ONNX nodes.

An ONNX expression is a chain of operators with their attributes, applied one after the other; an
operator whose name ends in an asterisk gets x as a second input.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from torch import nn

from rldistill.errors import SettingError

Array = np.ndarray[Any, Any]
Node = tuple[str, Mapping[str, float | str]]


@final
@dataclass(frozen=True, slots=True)
class Written:
    """One activation in the three languages.

    Attributes:
        numpy: of an array and the parameter.
        c: an expression of the float x; {p} is the parameter as a float literal.
        onnx: operators, of which each takes what the one before gave; "p" stands for the parameter.
    """

    numpy: Callable[[Array, float], Array]
    c: str
    onnx: tuple[Node, ...] = field(default=())


def _sigmoid(x: Array) -> Array:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[float])(x)


SIGMOID = "(0.5f * (tanhf(0.5f * x) + 1.0f))"
SOFTPLUS = "((x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x))))"
ACTIVATIONS: dict[str, Written] = {
    "tanh": Written(lambda x, p: np.tanh(x), "tanhf(x)", (("Tanh", {}),)),
    "relu": Written(lambda x, p: np.maximum(x, 0), "x > 0.0f ? x : 0.0f", (("Relu", {}),)),
    "leaky_relu": Written(
        lambda x, p: np.where(x > 0, x, p * x),
        "x > 0.0f ? x : {p} * x",
        (("LeakyRelu", {"alpha": "p"}),),
    ),
    "elu": Written(
        lambda x, p: np.where(x > 0, x, p * np.expm1(np.minimum(x, 0))),
        "x > 0.0f ? x : {p} * expm1f(x)",
        (("Elu", {"alpha": "p"}),),
    ),
    "gelu": Written(
        lambda x, p: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
        "0.5f * x * (1.0f + erff(x * 0.707106781f))",
        (("Gelu", {}),),
    ),
    "gelu_tanh": Written(
        lambda x, p: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "0.5f * x * (1.0f + tanhf(0.797884561f * (x + 0.044715f * x * x * x)))",
        (("Gelu", {"approximate": "tanh"}),),
    ),
    "silu": Written(
        lambda x, p: x * _sigmoid(x), f"x * {SIGMOID}", (("Sigmoid", {}), ("Mul*", {}))
    ),
    "sigmoid": Written(lambda x, p: _sigmoid(x), SIGMOID, (("Sigmoid", {}),)),
    "softplus": Written(lambda x, p: _softplus(x), SOFTPLUS, (("Softplus", {}),)),
    "softsign": Written(
        lambda x, p: x / (1 + np.abs(x)), "x / (1.0f + fabsf(x))", (("Softsign", {}),)
    ),
    "mish": Written(
        lambda x, p: x * np.tanh(_softplus(x)), f"x * tanhf{SOFTPLUS}", (("Mish", {}),)
    ),
    "square": Written(lambda x, p: x * x, "x * x", (("Mul*", {}),)),
    # half the logarithm of a variance: the logarithm of its standard deviation
    "half_log": Written(
        lambda x, p: np.log(np.sqrt(x)), "0.5f * logf(x)", (("Sqrt", {}), ("Log", {}))
    ),
}
# Classes of torch, with the parameter of a module.
OF_TORCH: dict[type[nn.Module], Callable[[Any], tuple[str, float]]] = {
    nn.Tanh: lambda module: ("tanh", 0.0),
    nn.ReLU: lambda module: ("relu", 0.0),
    nn.LeakyReLU: lambda module: ("leaky_relu", float(module.negative_slope)),
    nn.PReLU: lambda module: ("leaky_relu", float(module.weight)),
    nn.ELU: lambda module: ("elu", float(module.alpha)),
    nn.GELU: lambda module: ("gelu" if module.approximate == "none" else "gelu_tanh", 0.0),
    nn.SiLU: lambda module: ("silu", 0.0),
    nn.Sigmoid: lambda module: ("sigmoid", 0.0),
    nn.Softplus: lambda module: ("softplus", 0.0),
    nn.Softsign: lambda module: ("softsign", 0.0),
    nn.Mish: lambda module: ("mish", 0.0),
}
# What stands near an activation that is not written yet.
NEAREST = {
    nn.SELU: "nn.ELU",
    nn.CELU: "nn.ELU",
    nn.Hardswish: "nn.SiLU",
    nn.Hardsigmoid: "nn.Sigmoid",
    nn.Tanhshrink: "nn.Tanh",
    nn.LogSigmoid: "nn.Softplus",
    nn.Softshrink: "nn.ReLU",
    nn.Hardshrink: "nn.ReLU",
}


def written(name: str) -> Written:
    """The activation of this name.

    Raises:
        SettingError: there is none.

    >>> written("relu").c
    'x > 0.0f ? x : 0.0f'
    """
    if name not in ACTIVATIONS:
        raise SettingError(f"unknown activation {name!r:.40}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
