"""ONNX files: small, of a stated opset, without a path of this machine, in every precision."""

import numpy as np
import pytest
from subjects import every_policy, student, subject

from rldistill.errors import NotFiniteError, SettingError
from rldistill.exporters import onnx, onnx_nodes, quantise, session

POLICIES = every_policy()


def kinds(data: bytes) -> list[str]:
    return [node.op_type for node in onnx_nodes.onnx().load_from_string(data).graph.node]


def test_a_graph_holds_its_layers_and_nothing_else() -> None:
    data = onnx.build(subject(student("mlp:8,8", "logits")))
    assert kinds(data) == ["Gemm", "Tanh", "Gemm", "Tanh", "Gemm", "ArgMax"]
    assert b"/home" not in data
    assert b".py" not in data


def test_the_contract_names_opset_and_operators() -> None:
    case = subject(POLICIES["tree"])
    told = onnx.describe(onnx.build(case), case)
    assert told["opset"] == 20
    assert "TreeEnsembleRegressor" in told["operators"]


def test_int8_is_held_in_int8() -> None:
    policy = student("mlp:64,64", "logits")
    plain = len(quantise.build(subject(policy)))
    for precision, kind in (("int8", "DequantizeLinear"), ("int8-dynamic", "MatMulInteger")):
        data = quantise.build(subject(policy, precision=precision))
        assert kind in kinds(data)
        model = onnx_nodes.onnx().load_from_string(data)
        held = [t for t in model.graph.initializer if t.data_type == 3 and len(t.dims) == 2]
        assert sum(int(np.prod(t.dims)) for t in held) == 5 * 64 + 64 * 64 + 64 * 4
        assert len(data) < plain


def test_fp16_keeps_inputs_and_outputs_in_float32() -> None:
    case = subject(POLICIES["ppo, normalised"], precision="fp16")
    model = onnx_nodes.onnx().load_from_string(quantise.build(case))
    assert [v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)] == [
        1,
        1,
    ]
    assert {t.data_type for t in model.graph.initializer} == {10, 11, 1}  # half, double, float


def test_a_weight_too_large_for_fp16_is_refused() -> None:
    policy = student("mlp:8", "logits")
    policy.module.layers[0].weight.data[0, 0] = 1e7
    with pytest.raises(NotFiniteError, match="beyond the 65504 of fp16"):
        quantise.build(subject(policy, precision="fp16"))


def test_a_precision_without_effect_is_refused() -> None:
    with pytest.raises(SettingError, match="int8 has no effect on a tree"):
        quantise.build(subject(POLICIES["tree"], precision="int8"))


def test_quantising_says_nothing_to_the_root_logger(caplog: pytest.LogCaptureFixture) -> None:
    for precision in ("int8", "int8-dynamic"):
        quantise.build(subject(student("mlp:8", "logits"), precision=precision))
    assert caplog.records == []


def test_onnxruntime_refuses_another_shape() -> None:
    case = subject(student("mlp:8", "logits"))
    run = session.run(onnx.build(case), case)
    with pytest.raises(Exception, match=r"[Ii]nvalid"):
        run(np.zeros((2, 6), np.float32), None)
    assert run(np.zeros((9, 5), np.float32), None)["action"].shape == (9,)


def test_small_inputs_keep_their_digits_in_int8() -> None:
    """One scale for all inputs would leave a feature that is 1,000 times smaller no bit."""
    rows = np.random.default_rng(0).standard_normal((500, 2)).astype(np.float32) * [1000, 0.1]
    from rldistill.exporters.interpret import run_steps
    from rldistill.exporters.steps import Affine, Dense

    steps = (Dense(np.array([[0.0, 10.0]], np.float32), np.zeros(1, np.float32)),)
    first, second = quantise.balanced(steps, rows.astype(np.float32))
    assert isinstance(first, Affine)
    assert np.abs(rows * first.scale).max(0) == pytest.approx([1, 1])
    assert run_steps((first, second), rows.astype(np.float32)) == pytest.approx(
        run_steps(steps, rows.astype(np.float32)), rel=1e-5
    )
