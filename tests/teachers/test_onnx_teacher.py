"""ONNX teachers: real robots give what onnxruntime gives; what is refused, and by which name."""

import copy
import pickle

import numpy as np
import onnx
import onnx_files
import pytest
import torch
from gymnasium import spaces
from onnx import TensorProto, helper, numpy_helper

from rldistill.core import CategoricalHead, DeterministicHead, GaussianHead, QValueHead
from rldistill.errors import MisfitError, SettingError, TaskError, TeacherFileError, UnsafeFileError
from rldistill.teachers.load import load_teacher

pytest.importorskip("onnxruntime")
import onnxruntime


@pytest.mark.parametrize(("name", "size", "actions"), [("go1", 48, 12), ("t1", 85, 23)])
def test_a_robot_gives_what_onnxruntime_gives(name, size, actions, shared_teachers):
    path = shared_teachers / "robots-playground-onnx" / f"{name}_policy.onnx"
    box = spaces.Box(-1.0, 1.0, (actions,), np.float32)
    policy = load_teacher(path, observation_shape=(size,), action_space=box)
    assert policy.info.head == DeterministicHead((-1.0,) * actions, (1.0,) * actions)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    seen = np.random.default_rng(0).normal(size=(20, size)).astype(np.float32)
    theirs = [session.run(None, {"obs": row[None]})[0][0] for row in seen]
    ours = policy.raw(torch.from_numpy(seen))
    np.testing.assert_allclose(ours.numpy(), np.stack(theirs), rtol=1e-5, atol=1e-5)
    assert policy.module.program.batched, "a batch must not go row by row"


def test_a_graph_with_its_batch_built_in_goes_row_by_row_and_says_so(tmp_path):
    policy = load_teacher(onnx_files.built_in_batch(tmp_path).path, head="deterministic")
    assert not policy.module.program.batched
    assert any("row by row" in note for note in policy.info.notes)


def test_it_can_be_copied_and_sent(tmp_path):
    policy = load_teacher(onnx_files.fixed_batch(tmp_path).path, head="deterministic")
    seen = torch.ones(2, 5)
    for other in (copy.deepcopy(policy.module), pickle.loads(pickle.dumps(policy.module))):
        assert torch.equal(other(seen), policy.raw(seen))


@pytest.mark.parametrize(
    ("head", "space", "kind"),
    [
        ("categorical", None, CategoricalHead),
        ("q-values", None, QValueHead),
        ("deterministic", None, DeterministicHead),
        (None, spaces.Discrete(3), CategoricalHead),
        (None, spaces.Box(-1.0, 1.0, (3,)), DeterministicHead),
        (CategoricalHead(3), None, CategoricalHead),
    ],
)
def test_the_head_is_said_or_the_spaces(head, space, kind, tmp_path):
    path = onnx_files.fixed_batch(tmp_path).path
    assert isinstance(load_teacher(path, head=head, action_space=space).info.head, kind)


def test_a_head_that_is_missing_unknown_or_of_another_size_is_an_error(tmp_path):
    path = onnx_files.fixed_batch(tmp_path).path
    with pytest.raises(SettingError, match="needs a head"):
        load_teacher(path)
    with pytest.raises(SettingError, match="Did you mean categorical"):
        load_teacher(path, head="categoricl")
    with pytest.raises(TaskError, match="gives 3 outputs, its head requires 2"):
        load_teacher(path, head="gaussian")
    with pytest.raises(TaskError, match="fit no head"):
        load_teacher(path, action_space=spaces.Discrete(2))


def test_two_outputs_per_dimension_are_a_gaussian(tmp_path):
    made = onnx_files.model()
    del made.graph.initializer[:]
    arrays = {"w1": onnx_files.W1, "b1": onnx_files.B1}
    arrays |= {"w2": np.ones((7, 4), np.float32), "b2": np.zeros(4, np.float32)}
    made.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in arrays.items())
    made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    path = onnx_files.save(made, tmp_path)
    task = spaces.Box(-1.0, 1.0, (2,), np.float32)
    assert load_teacher(path, action_space=task).info.head == GaussianHead((-1.0,) * 2, (1.0,) * 2)


def refused(tmp_path, made, error, match, **settings):
    path = onnx_files.save(made, tmp_path)
    with pytest.raises(error, match=match):
        load_teacher(path, head="deterministic", **settings)


@pytest.mark.parametrize(
    "name", ["h_in", "c_in", "hidden_state", "lstm_h", "state.1", "rnn_states"]
)
def test_a_recurrent_state_is_refused_by_name(name, tmp_path):
    value = helper.make_tensor_value_info
    inputs = [value("obs", 1, [1, 5]), value(name, 1, [1, 3])]
    outputs = [value("actions", 1, [1, 3]), value("h_out", 1, [1, 3])]
    more = [*onnx_files.nodes("out"), helper.make_node("Add", ["out", name], ["actions"])]
    more.append(helper.make_node("Identity", [name], ["h_out"]))
    made = onnx_files.model(more, inputs, outputs)
    refused(tmp_path, made, TeacherFileError, f"a recurrent policy \\(input {name}")


def test_other_inputs_are_listed(tmp_path):
    value = helper.make_tensor_value_info
    inputs = [value("obs", 1, [1, 5]), value("command", 1, [1, 3])]
    more = [*onnx_files.nodes("out"), helper.make_node("Add", ["out", "command"], ["actions"])]
    made = onnx_files.model(more, inputs)
    refused(tmp_path, made, TeacherFileError, r"it has 2: obs \[1, 5\], command \[1, 3\]")


def test_random_numbers_endless_loops_and_foreign_operators_are_refused(tmp_path):
    node = helper.make_node
    noise = [*onnx_files.nodes("out"), node("RandomNormalLike", ["out"], ["actions"])]
    refused(tmp_path, onnx_files.model(noise), TeacherFileError, "draws random numbers")
    body = onnx_files.model().graph
    loop = [*onnx_files.nodes("out"), node("Loop", ["", ""], ["actions"], body=body)]
    refused(tmp_path, onnx_files.model(loop), UnsafeFileError, "a Loop may never end")
    inside = [*onnx_files.nodes("out"), node("If", ["out"], ["actions"], then_branch=helper.
              make_graph(loop, "x", [], []), else_branch=body)]  # fmt: skip
    refused(tmp_path, onnx_files.model(inside), UnsafeFileError, "a Loop may never end")
    own = [*onnx_files.nodes("out"), node("Evil", ["out"], ["actions"], domain="com.evil")]
    refused(tmp_path, onnx_files.model(own), UnsafeFileError, "operator Evil of com.evil")


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", ""])
def test_external_data_outside_the_folder_is_refused(place, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(140))
    path = onnx_files.external(folder).path
    made = onnx.load(path, load_external_data=False)
    for entry in made.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = place
    path.write_bytes(made.SerializeToString())
    with pytest.raises(UnsafeFileError, match="outside the folder"):
        load_teacher(path, head="deterministic")


def test_external_data_by_a_link_that_leaves_the_folder_is_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = onnx_files.external(folder).path
    (folder / "weights.bin").rename(tmp_path / "elsewhere.bin")
    (folder / "weights.bin").symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(UnsafeFileError, match="outside the folder"):
        load_teacher(path, head="deterministic")


def test_external_data_is_part_of_the_fingerprint_and_checked(tmp_path):
    path = onnx_files.external(tmp_path).path
    before = load_teacher(path, head="deterministic").info.fingerprint
    beside = tmp_path / "weights.bin"
    whole = beside.read_bytes()
    beside.write_bytes(b"\0\0\0\0" + whole[4:])
    assert load_teacher(path, head="deterministic").info.fingerprint != before
    beside.write_bytes(whole[:-8])
    with pytest.raises(TeacherFileError, match="truncated"):
        load_teacher(path, head="deterministic")


def test_a_graph_that_fails_when_it_is_run_is_an_error(tmp_path):
    made = onnx_files.model()
    made.graph.initializer[0].dims[0] = 4
    made.graph.initializer[0].raw_data = bytes(4 * 7 * 4)
    refused(tmp_path, made, TeacherFileError, "a damaged ONNX file, or one that fails")


def test_a_graph_that_hungers_for_memory_ends_its_child_alone(tmp_path):
    size = numpy_helper.from_array(np.array([1 << 20, 1 << 14], np.int64), "size")
    node = helper.make_node
    more = [*onnx_files.nodes("out"), node("ConstantOfShape", ["size"], ["huge"]),
            node("ReduceSum", ["huge"], ["total"], keepdims=0),
            node("Add", ["out", "total"], ["actions"])]  # fmt: skip
    made = onnx_files.model(more, initializers=[*onnx_files.constants(), size])
    refused(tmp_path, made, TeacherFileError, "a damaged ONNX file, or one that fails")


def test_outputs_that_are_not_numbers_of_a_head_are_refused(tmp_path):
    more = [*onnx_files.nodes("out"), helper.make_node("ArgMax", ["out"], ["actions"], axis=1)]
    outputs = [helper.make_tensor_value_info("actions", TensorProto.INT64, [1, 1])]
    made = onnx_files.model(more, outputs=outputs)
    refused(tmp_path, made, TeacherFileError, "no numbers that a head could read")


def test_open_sizes_are_the_tasks(tmp_path):
    value = helper.make_tensor_value_info
    path = onnx_files.save(onnx_files.model(inputs=[value("obs", 1, [1, "n"])]), tmp_path)
    with pytest.raises(TeacherFileError, match="leaves sizes open"):
        load_teacher(path, head="deterministic")
    policy = load_teacher(path, head="deterministic", observation_shape=(5,))
    assert policy.info.observation_shape == (5,)
    with pytest.raises(MisfitError):
        load_teacher(path, head="deterministic", observation_shape=(5, 2))


def test_of_several_outputs_the_one_for_the_head_is_taken_and_said(tmp_path):
    value = helper.make_tensor_value_info
    outputs = [value("latent", 1, [1, 7]), value("actions", 1, [1, 3])]
    path = onnx_files.save(onnx_files.model(outputs=outputs), tmp_path)
    policy = load_teacher(path, head="deterministic")
    assert policy.info.head.num_outputs == 3
    assert any("output actions is taken; it has latent too" in n for n in policy.info.notes)
