import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rldistill.core import CategoricalHead, GaussianHead
from rldistill.errors import SettingError, TaskError
from rldistill.students.build import make_student
from rldistill.students.families import parse_spec, require_family
from rldistill.students.recurrent import RecurrentStudent, fold
from rldistill.students.recurrent_specs import RecurrentSpec
from rldistill.students.store import load_student, save_student

FLAT = spaces.Box(-1, 1, (4,))
PIXELS = spaces.Box(0, 255, (4, 40, 44), np.uint8)
ACTS = spaces.Discrete(3)
KINDS = ["gru:5", "lstm:5", "gru:5,3:mlp:7"]


@pytest.mark.parametrize("spec", KINDS)
def test_a_saved_student_remembers_as_before(tmp_path, spec):
    """Over a sequence, in several windows, with starts."""
    torch.manual_seed(0)
    student = make_student(spec, FLAT, ACTS)
    for parameter in student.module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    seen = 3 + 5 * torch.randn(9, 2, 4)
    require_family(student.module).fit_inputs(student.module, seen.flatten(0, 1))
    save_student(student, tmp_path, {})
    loaded = load_student(tmp_path)
    starts = torch.rand(9, 2) < 0.3
    with torch.no_grad():
        whole, end = student.unroll(seen, student.initial_state(2), starts)
        state, parts = loaded.initial_state(2), []
        for cut in (slice(0, 4), slice(4, 9)):
            raw, state = loaded.unroll(seen[cut], state, starts[cut])
            parts.append(raw)
    torch.testing.assert_close(torch.cat(parts), whole)
    torch.testing.assert_close(state, end)
    assert loaded.info.state_shapes == student.info.state_shapes
    assert loaded.info.parameters == student.info.parameters


def test_what_is_remembered_changes_what_is_done():
    student = make_student("gru:8", FLAT, ACTS)
    torch.nn.init.normal_(student.module.last.weight)
    seen = torch.randn(1, 4)
    first, state = student.step(seen, student.initial_state(1))
    again, _ = student.step(seen, state)
    assert not torch.allclose(first, again)


def test_a_finished_student_keeps_its_normaliser():
    """Training it further must not change what it does before the first update."""
    own = fold(RecurrentStudent(parse_spec("gru:5"), (4,), None, CategoricalHead(3)))
    before = own.normaliser.mean.clone()
    require_family(own).fit_inputs(own, 9 + torch.randn(50, 4))
    assert torch.equal(own.normaliser.mean, before)


def test_gaussian_students_have_a_deviation_of_their_own():
    head = GaussianHead((-1.0, -1.0), (1.0, 1.0))
    student = make_student("gru:5", FLAT, spaces.Box(-1, 1, (2,)), head)
    raw, _ = student.step(torch.zeros(3, 4), student.initial_state(3))
    assert raw.shape == (3, 4)
    assert (raw[:, 2:] == 0).all()


def test_it_begins_near_zero_and_with_open_forget_gates():
    student = make_student("lstm:6", FLAT, ACTS).module
    unit = student.units[0]
    assert (unit.bias_ih_l0[6:12] == 1).all()
    gate = unit.weight_hh_l0[:6]
    torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
    raw, _ = student.step(torch.randn(8, 4), tuple(torch.randn(8, 6) for _ in range(2)))
    assert raw.abs().max() < 0.1


@pytest.mark.parametrize(
    ("spec", "sees", "error", "said"),
    [
        ("gru:5", PIXELS, TaskError, "give it convolutions first, such as gru:5:nature:25%"),
        ("gru:5:nature:4%", FLAT, TaskError, "needs pixels"),
        ("gru:5:cnn:6x60", PIXELS, TaskError, "does not fit observations"),
        ("gru", FLAT, SettingError, "give the number of units, for example gru:64"),
        ("gru:0", FLAT, SettingError, "a size must be 1 to 65,536, got 0"),
        ("gru:-3", FLAT, SettingError, "'-3' is no size"),
        ("gru:64,relu", FLAT, SettingError, "'relu' is no size; sizes come first"),
        ("gru:64:mpl:3", FLAT, SettingError, "unknown encoder 'mpl'.*Did you mean mlp"),
        ("gru:64:gru:3", FLAT, SettingError, "unknown encoder 'gru'"),
        ("gru:64:mlp:linear", FLAT, SettingError, "an encoder without hidden layers"),
        ("gru:64:", FLAT, SettingError, "unknown encoder ''"),
        ("lstm:" + "1," * 64 + "1", FLAT, SettingError, "give 1 to 64 sizes"),
    ],
)
def test_specs_that_make_no_sense_are_told(spec, sees, error, said):
    with pytest.raises(error, match=said):
        make_student(spec, sees, ACTS)


@given(
    st.sampled_from(["gru", "lstm"]),
    st.lists(st.integers(1, 999), min_size=1, max_size=4),
    st.sampled_from([None, "mlp:8", "mlp:8,4,relu,layernorm", "minatar", "cnn:6x3s2,fc9"]),
)
def test_every_spec_is_read_back_from_its_text(kind, sizes, encoder):
    inner = None if encoder is None else parse_spec(encoder)
    spec = RecurrentSpec(kind, tuple(sizes), inner)
    assert parse_spec(str(spec)) == spec


def test_unknown_kinds_are_refused():
    with pytest.raises(SettingError, match="kind must be one of gru, lstm"):
        RecurrentSpec("rnn")
