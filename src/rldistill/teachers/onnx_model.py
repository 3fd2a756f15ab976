"""ONNX files before they are run: what is inside, and what no policy of one observation has.

The graph is parsed as data. Whatever would read other files, draw random numbers, loop without end
or carry a state is refused by name, before onnxruntime sees it.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rldistill.errors import MisfitError, TeacherFileError, UnsafeFileError
from rldistill.teachers.archive import read_file, safe_text
from rldistill.teachers.onnx_packages import onnx

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
LARGEST = 256 << 20
FLOATS = {"float": "float32", "double": "float64"}
MOST_NODES = 20_000
MOST_DEEP = 8
MOST_INPUTS = 1 << 22
RECURRENT = ("LSTM", "GRU", "RNN")
RANDOM = (
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    *("Multinomial", "Bernoulli"),
)
ENDLESS = ("Loop", "Scan", "SequenceMap")
_STATE = re.compile(
    r"(?:.*[_./])?(?:h|c|hx|cx|hn|cn|h0|c0|hidden|cell|states?|rnn|lstm|gru|memory|carry|recurrent)"
    r"(?:[_./\d].*)?",
    re.IGNORECASE,
)
# Names by which outputs are known, the likeliest first.
LOGITS = ("logits", "action_logits", "q_values", "q", "probs")
ACTIONS = ("action", "actions", "continuous_actions", "mean", "mu", "action_mean")


@final
@dataclass(frozen=True, slots=True)
class Port:
    """An input or output; a size is None where the file leaves it open."""

    name: str
    sizes: tuple[int | None, ...]
    dtype: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """A file that may be run.

    Attributes:
        data: the file, external tensors included, one observation at a time.
        batched: the same with an open first size; None where there is no first size to open.
        seen: the input.
        outputs: those of floats.
        parameters: numbers in its constants.
        operators: kinds of its nodes, for people.
        producer: who wrote it.
        sha256: of the file and of what it reads beside itself.
    """

    data: bytes
    batched: bytes | None
    seen: Port
    outputs: tuple[Port, ...]
    parameters: int
    operators: tuple[str, ...]
    producer: str
    sha256: str


def read_onnx(path: Path) -> OnnxModel:
    """Parse and check a file.

    Raises:
        TeacherFileError: damaged, recurrent, random, or with other inputs than one observation.
        UnsafeFileError: it reads files outside its folder, is too large, or may loop for ever.
        MissingExtraError: onnx is not installed.
    """
    data, what = read_file(path, LARGEST), str(path)
    try:
        model = onnx().load_model_from_string(data)
    except Exception as error:  # protobuf raises a class of its own for each backend
        raise TeacherFileError(
            f"{what} is no ONNX file, or a damaged one: {safe_text(str(error), 200)}"
        ) from error
    graph = model.graph
    if not graph.node or not graph.output:
        raise TeacherFileError(f"{what} is no ONNX file, or a damaged one: it has no graph")
    digest = hashlib.sha256(data)
    nodes = _checked_nodes(model, what)
    for tensor in _tensors(model):
        digest.update(_bring_in(tensor, path))
    _refuse_state(graph, nodes, what)
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [_port(value) for value in graph.input if value.name not in constants]
    outputs = tuple(_port(value) for value in graph.output)
    seen = _only_input(inputs, outputs, what)
    floats = tuple(port for port in outputs if port.dtype.startswith("float"))
    if not floats:
        raise TeacherFileError(
            f"{what}: its outputs {_listed(outputs)} are no numbers that a head could read"
        )
    return OnnxModel(
        data=model.SerializeToString(),
        batched=_batched(model, seen),
        seen=seen,
        outputs=floats,
        parameters=sum(math.prod(t.dims) for t in _tensors(model) if t.data_type in (1, 10, 11)),
        operators=tuple(sorted({node.op_type for node in nodes})),
        producer=safe_text(f"{model.producer_name} {model.producer_version}".strip() or "unknown"),
        sha256=digest.hexdigest(),
    )


def _graphs(graph: Any, depth: int = 0) -> Iterator[Any]:
    """A graph and those in the attributes of its nodes."""
    if depth > MOST_DEEP:
        raise UnsafeFileError(f"an ONNX file with graphs nested deeper than {MOST_DEEP}")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.HasField("g") else []
            for sub in (*inner, *attribute.graphs):
                yield from _graphs(sub, depth + 1)


def _all_graphs(model: Any) -> Iterator[Any]:
    yield from _graphs(model.graph)
    for function in model.functions:
        yield from _graphs(function)


def _checked_nodes(model: Any, what: str) -> list[Any]:
    nodes = [node for graph in _all_graphs(model) for node in graph.node]
    if len(nodes) > MOST_NODES:
        raise UnsafeFileError(f"{what}: {len(nodes):,} operators; at most {MOST_NODES:,}")
    own = {(function.domain, function.name) for function in model.functions}
    for node in nodes:
        if node.op_type in RANDOM:
            raise TeacherFileError(
                f"{what}: it draws random numbers ({node.op_type}): export the policy's "
                "distribution or its deterministic action"
            )
        if node.op_type in ENDLESS:
            raise UnsafeFileError(f"{what}: a {node.op_type} may never end")
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            raise UnsafeFileError(
                f"{what}: operator {safe_text(node.op_type)} of {safe_text(node.domain)}: only "
                "those of ONNX itself are run"
            )
    return nodes


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _all_graphs(model):
        if graph.DESCRIPTOR.name == "GraphProto":
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors


def _bring_in(tensor: Any, path: Path) -> bytes:
    """Put the numbers that a tensor keeps in a file beside the model into it; what was read.

    Raises:
        UnsafeFileError: the file lies outside the model's folder, or is too large.
    """
    if tensor.data_location != 1:  # EXTERNAL
        return b""
    said = {entry.key: entry.value for entry in tensor.external_data}
    folder = path.parent.resolve()
    place = said.get("location", "")
    beside = (folder / place).resolve()
    if not place or "\0" in place or Path(place).is_absolute() or folder not in beside.parents:
        raise UnsafeFileError(
            f"{path}: tensor {safe_text(tensor.name)} lies in {safe_text(place)!r}, outside the "
            "folder of the file"
        )
    data = read_file(beside, LARGEST)
    start, length = (_whole(said.get(key), path) for key in ("offset", "length"))
    end = len(data) if length is None else (start or 0) + length
    part = data[start or 0 : end]
    if end > len(data):
        raise TeacherFileError(f"{beside} is truncated: {end:,} bytes are required")
    tensor.raw_data = part
    tensor.data_location = 0
    del tensor.external_data[:]
    return part


def _whole(text: str | None, path: Path) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        raise TeacherFileError(f"{path}: external data at {safe_text(text)!r}, no whole number")
    return int(text)


def _port(value: Any) -> Port:
    tensor = value.type.tensor_type
    sizes = tuple(
        int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None
        for d in tensor.shape.dim
    )
    name = str(onnx().TensorProto.DataType.Name(tensor.elem_type)).lower()
    return Port(value.name, sizes, FLOATS.get(name, name))


def _listed(ports: tuple[Port, ...] | list[Port]) -> str:
    return ", ".join(f"{safe_text(port.name)} {list(port.sizes)}" for port in ports)


def _refuse_state(graph: Any, nodes: list[Any], what: str) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in constants]
    names = [name for name in inputs[1:] if _STATE.fullmatch(name)]
    layers = sorted({node.op_type for node in nodes if node.op_type in RECURRENT})
    if names or layers:
        found = ", ".join([*layers, *(f"input {safe_text(name)}" for name in names)])
        raise TeacherFileError(
            f"{what}: not supported yet: a recurrent policy ({found}); read are policies of one "
            "observation"
        )


def _only_input(inputs: list[Port], outputs: tuple[Port, ...], what: str) -> Port:
    if len(inputs) != 1:
        raise TeacherFileError(
            f"{what}: one input is required, the observation; it has {len(inputs)}: "
            f"{_listed(inputs) or 'none'} (outputs: {_listed(outputs)})"
        )
    (seen,) = inputs
    if not seen.sizes or len(seen.sizes) > 5:
        raise TeacherFileError(f"{what}: its input {_listed(inputs)} is no batch of observations")
    if len(seen.sizes) > 1 and seen.sizes[0] not in (None, 1):
        raise TeacherFileError(
            f"{what}: it takes {seen.sizes[0]} observations at once; export it with a batch of 1 "
            "or an open batch size"
        )
    if math.prod(size or 1 for size in seen.sizes) > MOST_INPUTS:
        raise UnsafeFileError(f"{what}: observations of {seen.sizes} numbers")
    return seen


def _batched(model: Any, seen: Port) -> bytes | None:
    """The model with an open first size of input and outputs; whether that holds is tried out."""
    if len(seen.sizes) < 2:
        return None
    copy = onnx().ModelProto()
    copy.CopyFrom(model)
    inputs = [value for value in copy.graph.input if value.name == seen.name]
    for value in (*inputs, *copy.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims:
            dims[0].dim_param = "batch"
    del copy.graph.value_info[:]
    return copy.SerializeToString()


def observation_shape(
    model: OnnxModel, task_shape: tuple[int, ...] | None, what: str
) -> tuple[int, ...]:
    """Shape of one observation: the file's, its open sizes filled in from the task.

    Raises:
        TeacherFileError: sizes are open and there is no task.
        MisfitError: the task's sizes are others.
    """
    sizes = model.seen.sizes[1:] if len(model.seen.sizes) > 1 else model.seen.sizes
    fixed = tuple(size for size in sizes if size is not None)
    if len(fixed) == len(sizes):
        return fixed
    if task_shape is None:
        raise TeacherFileError(
            f"{what}: its input {_listed([model.seen])} leaves sizes open: name the task "
            "(observation_shape)"
        )
    pairs = zip(sizes, task_shape, strict=False)
    if len(task_shape) != len(sizes) or any(a not in (None, b) for a, b in pairs):
        raise MisfitError(what, f"takes observations of {list(sizes)}", f"gives {task_shape}")
    return task_shape


def choose_output(model: OnnxModel, *, is_discrete: bool) -> Port:
    """The output that a head reads: by its name, where there are several, else the first."""
    order = (*LOGITS, *ACTIONS) if is_discrete else (*ACTIONS, *LOGITS)
    by_name = {port.name.lower(): port for port in reversed(model.outputs)}
    found = next((by_name[name] for name in order if name in by_name), None)
    return model.outputs[0] if found is None else found
