"""What a card may say, and what is said of one that says something else."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_cards import MLP, mlp_weights, save

from rldistill import RldistillError, load_teacher
from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers.card import LARGEST_CARD, read_card


def changed(before: str, after: str) -> str:
    assert before in MLP
    return MLP.replace(before, after, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("format = 1", "format = 2"), "expected format = 1, got 2"),
        (changed("format = 1", "format = true"), "format"),
        (changed("format = 1\n", ""), "expected format = 1, got None"),
        (changed('algorithm = "PPO"\n', ""), "algorithm is missing"),
        (changed("algorithm", "algoritm"), r"unknown key 'algoritm'.* Did you mean algorithm\?"),
        (changed("[value]", "[values]"), "unknown key 'values'.*Did you mean value"),
        (changed("gamma = 0.9", "gama = 0.9"), r"unknown key value.'gama'.* Did you mean gamma\?"),
        (changed("gamma = 0.9", "gamma = 1.5"), "value.gamma: .*less than or equal to 1"),
        (changed("gamma = 0.9", "gamma = nan"), "value.gamma"),
        (changed("gamma = 0.9", 'gamma = "0.9"'), "value.gamma: .*valid number"),
        (changed('"categorical"', '"categorial"'), r"actions.head must be .*categorical'"),
        (changed("critic", "critics"), r"unknown key network.'critics'"),
        (changed('"tanh"', '"tanhh"'), r"network.trunk\[1\] names no kind of layer.*mean tanh"),
        (changed('"tanh"', '{ tanh = true, relu = true }'), "names several kinds"),
        (changed('"tanh"', "3"), r"network.trunk\[1\] names no kind"),
        (changed('"tanh"', "{ gru = 'g' }"), r"not supported yet: network.trunk\[1\] is a gru"),
        (changed('linear = "a"', 'linear = "a", stride = 2'), "has no option 'stride'"),
        (changed('linear = "a"', "linear = 3"), "must name its tensors"),
        (changed('"tanh"', "{ maxpool = 0 }"), "maxpool must be 1 to 64, got 0"),
        (changed('"tanh"', "{ flatten = 'whc' }"), "flatten is \"chw\""),
        (changed('"tanh"', "{ normaliser = {} }"), "needs shift or divide"),
        (changed('"tanh"', "{ normaliser = { divide = 0.0 } }"), "divides by 0"),
        (changed('"tanh"', "{ normaliser = { clp = 1 } }"), "no option 'clp'.*Did you mean clip"),
        (changed('"tanh"', "{ affine = { multiply = inf } }"), "multiply must be a number"),
        (changed('"tanh"', "{ dueling = { value = [] } }"), "needs layers for advantage and value"),
        (MLP + "[network.more]\n", "unknown key network.'more'"),
        (MLP + "[task]\nact = 'modal'\n", "task.act must be .*mode"),
        (MLP + "[task]\ndeviation = -1.0\n", "task.deviation"),
        (MLP + "[observations]\nshape = [0]\n", "observations.shape"),
        (MLP + "[observations]\nshape = [1, 1, 1, 1, 1]\n", "observations.shape"),
        (MLP + "[observations]\nscale = 0.0\n", "observations.scale"),
        ("format = 1\n[network]\n[actions", "is not TOML"),
        ("\x00", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        (MLP + '"\\u001b[2J" = 1\n', r"unknown key value.'\?\[2J'"),
    ],
    ids=lambda text: text[-30:],
)  # fmt: skip
def test_a_wrong_card_says_what_is_wrong_with_it(tmp_path, text, message):
    path = save(tmp_path, text, mlp_weights())
    with pytest.raises(TeacherFileError, match=message):
        load_teacher(path, announce=None)


def test_layers_nested_without_end_are_refused(tmp_path):
    inner = '{ linear = "a" }'
    for _ in range(6):
        inner = f"{{ dueling = {{ advantage = [{inner}], value = [{inner}] }} }}"
    with pytest.raises(TeacherFileError, match="nested too deeply"):
        load_teacher(save(tmp_path, changed('"tanh"', inner), mlp_weights()), announce=None)


def test_a_card_larger_than_any_is_refused(tmp_path):
    (tmp_path / "x.toml").write_text("#" * (LARGEST_CARD + 1))
    with pytest.raises(UnsafeFileError):
        read_card(tmp_path / "x.toml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_no_other_exception_whatever_the_card(tmp_path, data):
    """A few bytes of a good card are changed, left out or put in."""
    text = bytearray(MLP.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = save(tmp_path, None, mlp_weights())
    path.with_suffix(".toml").write_bytes(bytes(text))
    with contextlib.suppress(RldistillError):
        load_teacher(path, announce=None)
