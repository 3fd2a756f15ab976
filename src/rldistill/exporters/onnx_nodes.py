"""Steps as ONNX operators."""

from typing import Any, final

import numpy as np

from rldistill.errors import NotFiniteError
from rldistill.exporters.activations import written
from rldistill.exporters.onnx_tree import tree_nodes
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
    Squash,
    Step,
    Steps,
    Tree,
)
from rldistill.teachers.onnx_packages import onnx

Array = np.ndarray[Any, Any]


@final
class GraphWriter:
    """Nodes and constants of one graph; every method gives the name of what it added."""

    def __init__(self, dtype: type[np.floating[Any]] = np.float32) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str, gives: str = "", **attributes: Any) -> str:
        """One operator with one output."""
        name = gives or f"{kind.lower()}_{len(self.nodes)}"
        made = onnx().helper.make_node(kind, list(inputs), [name], name=name, **attributes)
        self.nodes.append(made)
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Numbers that belong to the file, in the graph's precision unless another is asked for.

        Raises:
            NotFiniteError: fp16 cannot hold a weight.
        """
        given = np.asarray(value)
        with np.errstate(over="ignore"):
            held = given.astype(self.dtype if dtype is None else dtype)
        if self.dtype is np.float16 and np.isinf(held).any() and np.isfinite(given).all():
            raise NotFiniteError(
                f"a weight of {np.abs(given).max():.4g} is beyond the 65504 of fp16; use fp32"
            )
        name = f"constant_{len(self.constants)}"
        self.constants.append(onnx().numpy_helper.from_array(np.ascontiguousarray(held), name))
        return name

    def cast(self, x: str, dtype: Any) -> str:
        """x as another type."""
        code = onnx().helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", x, to=code)

    def steps(self, steps: Steps, x: str) -> str:
        """A chain of steps."""
        for step in steps:
            x = self.step(step, x)
        return x

    def step(self, step: Step, x: str) -> str:
        """One step as operators."""
        match step:
            case Normalise():
                return self._normalise(step, x)
            case Dense():
                weight, bias = self.constant(step.weight), self.constant(step.bias)
                return self.node("Gemm", x, weight, bias, transB=1)
            case Conv():
                weight, bias = self.constant(step.weight), self.constant(step.bias)
                pads = [*step.padding, *step.padding]
                return self.node("Conv", x, weight, bias, strides=[*step.stride], pads=pads)
            case MaxPool():
                pads, strides = [*step.padding, *step.padding], [*step.stride]
                kernel = [*step.kernel]
                return self.node("MaxPool", x, kernel_shape=kernel, strides=strides, pads=pads)
            case ChannelsFirst():
                return self.node("Transpose", x, perm=[0, 3, 1, 2])
            case ChannelNorm():
                return self._channel_norm(step, x)
            case Residual():
                return self.node("Add", x, self.steps(step.steps, x))
            case Tree():
                return tree_nodes(self, step, x)
            case Flatten():
                return self.node("Flatten", x, axis=1)
            case LayerNorm():
                weight, bias = self.constant(step.weight), self.constant(step.bias)
                kind = "LayerNormalization"
                return self.node(kind, x, weight, bias, axis=-1, epsilon=step.epsilon)
            case Activation():
                return self._activation(step, x)
            case Affine():
                scaled = self.node("Mul", x, self.constant(step.scale))
                return self.node("Add", scaled, self.constant(step.offset))
            case Clip():
                return self.clip(x, step.low, step.high)
            case Squash():
                return self._squash(step, x)
            case Append():
                return self._append(step, x)
            case Fork():
                parts = self.steps(step.first, x), self.steps(step.second, x)
                return self.node("Concat", *parts, axis=1)

    def clip(self, x: str, low: Array, high: Array, dtype: Any = None) -> str:
        """x within [low, high]; a side that is free everywhere is left out."""
        if np.isfinite(low).any():
            x = self.node("Max", x, self.constant(low, dtype))
        return self.node("Min", x, self.constant(high, dtype)) if np.isfinite(high).any() else x

    def _normalise(self, step: Normalise, x: str) -> str:
        # In float64, as VecNormalize does it: features that hardly vary would lose their digits.
        wide = self.cast(x, np.float64)
        centred = self.node("Sub", wide, self.constant(step.mean, np.float64))
        normal = self.node("Div", centred, self.constant(step.std, np.float64))
        if step.clip is not None:
            bound = np.full(1, step.clip)
            normal = self.clip(normal, -bound, bound, np.float64)
        return self.cast(normal, self.dtype)

    def _channel_norm(self, step: ChannelNorm, x: str) -> str:
        axes = self.constant([1, 2, 3], np.int64)
        centred = self.node("Sub", x, self.node("ReduceMean", x, axes))
        variance = self.node("ReduceMean", self.node("Mul", centred, centred), axes)
        std = self.node("Sqrt", self.node("Add", variance, self.constant(step.epsilon)))
        weight, bias = (self.constant(v[:, None, None]) for v in (step.weight, step.bias))
        scaled = self.node("Mul", self.node("Div", centred, std), weight)
        return self.node("Add", scaled, bias)

    def _activation(self, step: Activation, x: str) -> str:
        y = x
        for kind, attributes in written(step.name).onnx:
            settings: dict[str, Any] = {
                key: step.parameter if value == "p" else value for key, value in attributes.items()
            }
            inputs = (x, y) if kind.endswith("*") else (y,)
            y = self.node(kind.removesuffix("*"), *inputs, **settings)
        return y

    def _squash(self, step: Squash, x: str) -> str:
        bounded = np.isfinite(step.low) & np.isfinite(step.high)
        low, high = (np.where(bounded, bound, 0.0) for bound in (step.low, step.high))
        half = 0.5 * (high - low)
        scaled = self.node("Mul", self.node("Tanh", x), self.constant(half))
        squashed = self.node("Add", scaled, self.constant(low + half))
        if bounded.all():
            return squashed
        return self.node("Where", self.constant(bounded, np.bool_), squashed, x)

    def _append(self, step: Append, x: str) -> str:
        rows = self.node("Shape", x, start=0, end=1)
        size = self.constant([len(step.values)], np.int64)
        shape = self.node("Concat", rows, size, axis=0)
        values = self.node("Expand", self.constant(step.values), shape)
        return self.node("Concat", x, values, axis=1)
