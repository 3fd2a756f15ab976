"""ONNX files: steps as nodes, built directly so that a file holds what is needed and nothing else.

torch.onnx.export writes the path of every source line into the file and needs seconds; the graphs
here hold the same operators.
"""

from types import ModuleType
from typing import Any, final

import numpy as np

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    Head,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError, require
from rldistill.exporters.acting import Output, Port, Precision, bounds_of
from rldistill.exporters.activations import written
from rldistill.exporters.steps import (
    Activation,
    Affine,
    Append,
    Clip,
    Conv,
    Dense,
    Flatten,
    Fork,
    LayerNorm,
    Normalise,
    Squash,
    Step,
    Steps,
)
from rldistill.exporters.target import Subject

OPSET = 20
IR_VERSION = 10
Array = np.ndarray[Any, Any]


def onnx() -> ModuleType:
    """The onnx package."""
    return require("onnx", extra="onnx")


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


def build(subject: Subject, steps: Steps | None = None) -> bytes:
    """The bytes of an ONNX file: raw observation (and noise) in, the outputs of the ports out.

    Args:
        subject: what is exported; fp16 holds weights and hidden layers in half precision, and
            normaliser, inputs and outputs in float32.
        steps: in place of the subject's own.

    Raises:
        MissingExtraError: onnx is not installed.
        NotFiniteError: a weight is too large for fp16.
    """
    half = subject.precision is Precision.FP16
    graph = GraphWriter(np.float16 if half else np.float32)
    steps = subject.steps if steps is None else steps
    x = subject.ports.inputs[0].name
    if subject.ports.inputs[0].dtype == "uint8":
        x = graph.cast(x, np.float32)
    if half and not isinstance(steps[0], Normalise):
        x = graph.cast(x, np.float16)
    raw = graph.steps(steps, x)
    if half:
        raw = graph.cast(raw, np.float32)
        graph.dtype = np.float32
    _decide(graph, subject, raw)
    return _serialised(graph, subject)


def _decide(graph: GraphWriter, subject: Subject, raw: str) -> None:
    head = subject.policy.info.head
    if isinstance(head, (CategoricalHead, QValueHead)):
        _choose(graph, subject, raw, head.num_actions)
    else:
        _continuous(graph, subject, raw, head)


def _choose(graph: GraphWriter, subject: Subject, raw: str, num_actions: int) -> None:
    noise = subject.ports.noise
    if noise is None:
        graph.node("ArgMax", raw, gives="action", axis=1, keepdims=0)
        if subject.output is Output.DISTRIBUTION:
            graph.node("Softmax", raw, gives="probabilities", axis=1)
            graph.node("Identity", raw, gives="logits")
        return
    probabilities = graph.node("Softmax", raw, axis=1)
    running = graph.node("CumSum", probabilities, graph.constant(1, np.int64))
    drawn = graph.node("Unsqueeze", noise.name, graph.constant([1], np.int64))
    passed = graph.cast(graph.node("LessOrEqual", running, drawn), np.int64)
    index = graph.node("ReduceSum", passed, graph.constant([1], np.int64), keepdims=0)
    graph.node("Min", index, graph.constant(num_actions - 1, np.int64), gives="action")


def _continuous(graph: GraphWriter, subject: Subject, raw: str, head: Head) -> None:
    low, high = bounds_of(head)
    chosen = mean = raw
    if subject.output is not Output.ACTION and not isinstance(head, DeterministicHead):
        mean, log_std = (
            graph.node("Slice", raw, *(graph.constant([k], np.int64) for k in (i, j, 1)))
            for i, j in ((0, len(low)), (len(low), 2 * len(low)))
        )
        std = graph.node("Exp", log_std)
        chosen = mean
        if subject.ports.noise is None:
            graph.node("Identity", mean, gives="mean")
            graph.node("Identity", std, gives="std")
        else:
            scaled = graph.node("Mul", std, subject.ports.noise.name)
            chosen = graph.node("Add", mean, scaled)
    if isinstance(head, SquashedGaussianHead):
        chosen = graph.step(Squash(low, high), chosen)
    graph.node("Identity", graph.clip(chosen, low, high), gives="action")


def _serialised(graph: GraphWriter, subject: Subject) -> bytes:
    package = onnx()
    name = f"{subject.policy.info.name} by rldistill"[:120]
    made = package.helper.make_graph(
        graph.nodes,
        name,
        [_value(port) for port in subject.ports.inputs],
        [_value(port) for port in subject.ports.outputs],
        graph.constants,
    )
    model = package.helper.make_model(
        made,
        opset_imports=[package.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rldistill",
        doc_string="\n".join(subject.heading),
    )
    package.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _value(port: Port) -> Any:
    package = onnx()
    code = package.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return package.helper.make_tensor_value_info(port.name, code, ["batch", *port.shape])


def describe(data: bytes, subject: Subject) -> dict[str, Any]:
    """What the contract says of an ONNX file."""
    del subject
    model = onnx().load_from_string(data)
    kinds = sorted({node.op_type for node in model.graph.node})
    return {"opset": model.opset_import[0].version, "operators": kinds}
