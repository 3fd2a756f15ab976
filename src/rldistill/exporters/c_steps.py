"""Steps as C99: statements that run the network, and the constants and functions they need."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.core import DeterministicHead
from rldistill.exporters import c_functions
from rldistill.exporters.activations import written
from rldistill.exporters.c_int8 import activation_scale, int8_weights
from rldistill.exporters.c_source import Buffers, floats, integers, literal
from rldistill.exporters.c_tree import tree_to_c
from rldistill.exporters.steps import (
    Activation,
    Affine,
    Append,
    ChannelNorm,
    ChannelsFirst,
    Clip,
    Conv,
    Dense,
    Flatten,
    Fork,
    LayerNorm,
    MaxPool,
    Normalise,
    Residual,
    Shape,
    Squash,
    Step,
    Steps,
    Tree,
    arrays_of,
    shape_after,
)

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True)
class Value:
    """Numbers in a C array while code is written: its name and the shape of what it holds."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(np.prod(self.shape))


@final
class CWriter:
    """Writes statements for steps; int8 where it is given the ranges of activations.

    Attributes:
        constants, functions, lines: C text, in the order in which it must stand.
        floats, shorts: the buffers that the statements use.
    """

    def __init__(self, ranges: dict[int, float] | None = None) -> None:
        self.constants: list[str] = []
        self.functions: dict[str, str] = {}
        self.lines: list[str] = []
        self.floats = Buffers("float", "buffer", 4)
        self.shorts = Buffers("int16_t", "quantised", 2)
        self._ranges = ranges

    def steps(self, steps: Steps, x: Value) -> Value:
        """A chain of steps on x; x is used up unless it is nobody's buffer."""
        for step in steps:
            x = self.step(step, x)
        return x

    def step(self, step: Step, x: Value) -> Value:
        """One step: on the spot where the shape stays, else into another buffer."""
        match step:
            case Flatten():
                return Value(x.name, (x.size,))
            case Dense() | Conv():
                return self._weighted(step, x)
            case MaxPool():
                return self._pool(step, x)
            case ChannelsFirst():
                return self._channels_first(x)
            case Residual():
                return self._residual(step, x)
            case Tree():
                return self._tree(step, x)
            case Fork():
                return self._fork(step, x)
            case Append():
                return self._append(step, x)
            case LayerNorm() | ChannelNorm():
                self.functions["layer_norm"] = c_functions.LAYER_NORM
                weight, bias = self._floats(step.weight), self._floats(step.bias)
                x = self._own(x)
                epsilon = literal(step.epsilon)
                sizes = f"{x.size}, {x.size // len(step.weight)}"
                self._say(f"NAME_layer_norm({x.name}, {weight}, {bias}, {epsilon}, {sizes});")
                return x
            case _:
                x = self._own(x)
                self._each(x, self._expression(step))
                return x

    def _expression(self, step: Normalise | Activation | Affine | Clip | Squash) -> str:
        """What becomes of one number x at i."""
        match step:
            case Normalise():
                return self._normalised(step)
            case Activation():
                return self._activated(step)
            case Affine():
                return f"x * {self._number(step.scale)} + {self._number(step.offset)}"
            case Clip():
                low, high = self._number(step.low), self._number(step.high)
                return f"x < {low} ? {low} : x > {high} ? {high} : x"
            case Squash():
                return self._squashed(step)

    def _activated(self, step: Activation) -> str:
        expression = written(step.name).c
        takes, gives = "float x", "x"
        if "{p}" in expression:
            takes, gives = "float x, float p", f"x, {literal(step.parameter)}"
        self.functions[step.name] = (
            f"\nstatic inline float NAME_{step.name}({takes}) {{\n"
            f"    return {expression.replace('{p}', 'p')};\n}}\n"
        )
        return f"NAME_{step.name}({gives})"

    def _normalised(self, step: Normalise) -> str:
        # The mean in two floats: x - high is exact near the mean, so no digits are lost there.
        high = step.mean.astype(np.float32)
        low, inverse = step.mean - high, 1.0 / step.std
        high_name, low_name, scale = map(self._number, (high, low, inverse))
        normal = f"((x - {high_name}) - {low_name}) * {scale}"
        if step.clip is None:
            return normal
        bound = literal(step.clip)
        self.functions["clip"] = (
            "\nstatic inline float NAME_clip(float x, float bound) {\n"
            "    return x < -bound ? -bound : x > bound ? bound : x;\n}\n"
        )
        return f"NAME_clip({normal}, {bound})"

    def _squashed(self, step: Squash) -> str:
        bounded = np.isfinite(step.low) & np.isfinite(step.high)
        low, high = (np.where(bounded, bound, 0.0) for bound in (step.low, step.high))
        half = (0.5 * (high - low)).astype(np.float32)
        squashed = f"{self._number(low + half)} + {self._number(half)} * tanhf(x)"
        if bounded.all():
            return squashed
        self.constants.append(integers(f"NAME_k{len(self.constants)}", bounded, "unsigned char"))
        return f"NAME_k{len(self.constants) - 1}[i] ? {squashed} : x"

    def _weighted(self, step: Dense | Conv, x: Value) -> Value:
        shape = shape_after(step, x.shape)
        y = Value(self.floats.take(int(np.prod(shape))), shape)
        where = self._shape_of(step, x) if isinstance(step, Conv) else f"{x.size}, {shape[0]}"
        kind = "conv" if isinstance(step, Conv) else "dense"
        bias = self._floats(step.bias)
        if self._ranges is None:
            self.functions[kind] = c_functions.CONV if kind == "conv" else c_functions.DENSE
            weight = self._floats(step.weight)
            self._say(f"NAME_{kind}({x.name}, {weight}, {bias}, {where}, {y.name});")
        else:
            q, weight, scale = self._quantised(step, x, self._ranges[id(step)])
            int8 = c_functions.CONV_INT8 if kind == "conv" else c_functions.DENSE_INT8
            self.functions[kind] = int8
            self._say(f"NAME_{kind}({q}, {weight}, {scale}, {bias}, {where}, {y.name});")
            self.shorts.give_back(q)
        self.floats.give_back(x.name)
        return y

    def _quantised(self, step: Dense | Conv, x: Value, largest: float) -> tuple[str, str, str]:
        """Names of the quantised input, the int8 weights and their scales; one scale per output."""
        self.functions["quantise"] = c_functions.QUANTISE
        limit, input_scale = activation_scale(step, largest)
        weights, scales = int8_weights(step)
        q = self.shorts.take(x.size)
        inverse, bound = literal(1.0 / input_scale), literal(limit)
        self._say(f"NAME_quantise({x.name}, {inverse}, {bound}, {x.size}, {q});")
        name = f"NAME_k{len(self.constants)}"
        self.constants.append(integers(name, weights, "int8_t"))
        return q, name, self._floats((scales * input_scale).astype(np.float32))

    def _shape_of(self, step: Conv, x: Value) -> str:
        outputs, _, *kernel = step.weight.shape
        numbers = np.array([*x.shape, outputs, *kernel, *step.stride, *step.padding])
        name = f"NAME_k{len(self.constants)}"
        self.constants.append(integers(name, numbers, "int"))
        return name

    def _pool(self, step: MaxPool, x: Value) -> Value:
        self.functions["max_pool"] = c_functions.MAX_POOL
        shape = shape_after(step, x.shape)
        y = Value(self.floats.take(int(np.prod(shape))), shape)
        numbers = np.array([*x.shape, *step.kernel, *step.stride, *step.padding])
        sizes = f"NAME_k{len(self.constants)}"
        self.constants.append(integers(sizes, numbers, "int"))
        self._say(f"NAME_max_pool({x.name}, {sizes}, {y.name});")
        self.floats.give_back(x.name)
        return y

    def _channels_first(self, x: Value) -> Value:
        height, width, channels = x.shape
        y = Value(self.floats.take(x.size), (channels, height, width))
        place = f"(i % {channels}) * {height * width} + i / {channels}"
        self._copy(x, f"{y.name}[{place}]")
        self.floats.give_back(x.name)
        return y

    def _residual(self, step: Residual, x: Value) -> Value:
        """The steps work on a copy, which x is then added to."""
        copy = Value(self.floats.take(x.size), x.shape)
        self._copy(x, f"{copy.name}[i]")
        y = self.steps(step.steps, copy)
        self.lines += [
            f"for (int i = 0; i < {x.size}; ++i) {{",
            f"    {y.name}[i] += {x.name}[i];",
            "}",
        ]
        self.floats.give_back(x.name)
        return y

    def _tree(self, step: Tree, x: Value) -> Value:
        tree = arrays_of(step)
        # Raw outputs are asked for alone; which head reads them is no matter.
        head = DeterministicHead((0.0,), (1.0,))
        self.functions["tree"] = "\n" + tree_to_c(tree, x.size, head, "NAME_tree")
        y = Value(self.floats.take(tree.num_outputs), (tree.num_outputs,))
        self._say(f"NAME_tree_raw({x.name}, {y.name});")
        self.floats.give_back(x.name)
        return y

    def _fork(self, step: Fork, x: Value) -> Value:
        """Both branches read x, so the first gets a copy."""
        copy = Value(self.floats.take(x.size), x.shape)
        self._copy(x, f"{copy.name}[i]")
        first = self.steps(step.first, copy)
        second = self.steps(step.second, x)
        shape = (first.size + second.size,)
        y = Value(self.floats.take(shape[0]), shape)
        self._copy(first, f"{y.name}[i]")
        self._copy(second, f"{y.name}[i + {first.size}]")
        for done in (first, second):
            self.floats.give_back(done.name)
        return y

    def _append(self, step: Append, x: Value) -> Value:
        y = Value(self.floats.take(x.size + len(step.values)), (x.size + len(step.values),))
        self._copy(x, f"{y.name}[i]")
        self._copy(Value(self._floats(step.values), step.values.shape), f"{y.name}[i + {x.size}]")
        self.floats.give_back(x.name)
        return y

    def _own(self, x: Value) -> Value:
        """x in a buffer that may be written to."""
        if x.name.startswith(self.floats.name):
            return x
        own = Value(self.floats.take(x.size), x.shape)
        self._copy(x, f"{own.name}[i]")
        return own

    def _copy(self, x: Value, target: str) -> None:
        loop = f"for (int i = 0; i < {x.size}; ++i) {{"
        self.lines += [loop, f"    {target} = {x.name}[i];", "}"]

    def _each(self, x: Value, expression: str) -> None:
        self.lines += [
            f"for (int i = 0; i < {x.size}; ++i) {{",
            f"    const float x = {x.name}[i];",
            f"    {x.name}[i] = {expression};",
            "}",
        ]

    def _number(self, values: Array) -> str:
        """A literal where all numbers are one, else an entry of a constant array."""
        if (values == values.flat[0]).all():
            return literal(values.flat[0])
        return f"{self._floats(values)}[i]"

    def _floats(self, values: Array) -> str:
        self.constants.append(floats(f"NAME_k{len(self.constants)}", values))
        return f"NAME_k{len(self.constants) - 1}"

    def _say(self, line: str) -> None:
        self.lines.append(line)
