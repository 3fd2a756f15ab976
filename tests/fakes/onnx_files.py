"""ONNX policies written by hand with onnx.helper, and what numpy makes of the same weights."""

import numpy as np
import onnx
import torch
from foreign import Made
from gymnasium import spaces
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
RNG = np.random.default_rng(0)
W1, B1 = RNG.normal(size=(5, 7)).astype(np.float32), RNG.normal(size=7).astype(np.float32)
W2, B2 = RNG.normal(size=(7, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)


def constants():
    arrays = {"w1": W1, "b1": B1, "w2": W2, "b2": B2}
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def nodes(last: str = "actions"):
    return [
        helper.make_node("Gemm", ["obs", "w1", "b1"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["latent"]),
        helper.make_node("Gemm", ["latent", "w2", "b2"], [last]),
    ]


def model(graph_nodes=None, inputs=None, outputs=None, batch=1, initializers=None):
    graph = helper.make_graph(
        nodes() if graph_nodes is None else graph_nodes,
        "policy",
        inputs or [helper.make_tensor_value_info("obs", FLOAT, [batch, 5])],
        outputs or [helper.make_tensor_value_info("actions", FLOAT, [batch, 3])],
        constants() if initializers is None else initializers,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    return made


def save(made, folder, name: str = "policy"):
    path = folder / f"{name}.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def reference(x):
    return torch.from_numpy(np.tanh(x.numpy() @ W1 + B1) @ W2 + B2)


def fixed_batch(folder) -> Made:
    return Made(save(model(), folder), "ONNX", (5,), BOX, reference)


def open_batch(folder) -> Made:
    return Made(save(model(batch="n"), folder), "ONNX", (5,), BOX, reference)


def built_in_batch(folder) -> Made:
    """A Reshape to one row: this graph cannot take several observations at once."""
    shape = numpy_helper.from_array(np.array([1, 3], np.int64), "shape")
    more = [*nodes("flat"), helper.make_node("Reshape", ["flat", "shape"], ["actions"])]
    made = model(more, initializers=[*constants(), shape])
    return Made(save(made, folder), "ONNX", (5,), BOX, reference)


def q_values(folder) -> Made:
    made = Made(save(model(), folder), "ONNX", (5,), spaces.Discrete(3), reference)
    return Made(**{**vars(made), "settings": {"head": "q-values"}})


def external(folder) -> Made:
    """Weights in a file of the same folder."""
    made = model()
    onnx.save(made, folder / "big.onnx", save_as_external_data=True, size_threshold=0,
              location="weights.bin")  # fmt: skip
    return Made(folder / "big.onnx", "ONNX", (5,), BOX, reference)


MAKERS = (fixed_batch, open_batch, built_in_batch, q_values, external)
