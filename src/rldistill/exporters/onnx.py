"""ONNX files: steps as nodes, built directly so that a file holds what is needed and nothing else.

torch.onnx.export writes the path of every source line into the file and needs seconds; the graphs
here hold the same operators.
"""

from typing import Any

import numpy as np

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    Head,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.exporters.acting import Output, Port, Precision, bounds_of
from rldistill.exporters.onnx_nodes import GraphWriter, onnx
from rldistill.exporters.steps import Normalise, Squash, Steps
from rldistill.exporters.target import Subject

DOMAINS = (("", 20), ("ai.onnx.ml", 3))
IR_VERSION = 10
Array = np.ndarray[Any, Any]


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
        opset_imports=[package.helper.make_opsetid(*domain) for domain in DOMAINS],
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
