import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import SettingError
from rldistill.students.cnn_specs import PRESETS, CnnSpec, Convolution
from rldistill.students.families import parse_spec
from rldistill.students.specs import ACTIVATIONS, INITS

convolutions = st.builds(
    Convolution, st.integers(1, 4096), st.integers(1, 64), st.integers(1, 64), st.integers(0, 64)
)
specs = st.builds(
    CnnSpec,
    st.lists(convolutions, min_size=1, max_size=5).map(tuple),
    st.lists(st.integers(1, 65_536), max_size=4).map(tuple),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.booleans(),
    st.sampled_from(INITS),
)


@given(specs)
def test_a_spec_is_what_its_text_says(spec):
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize("name", PRESETS)
def test_layers_that_have_a_name_go_by_it(name):
    convolutions, hidden = PRESETS[name]
    words = [*map(str, convolutions), *(f"fc{width}" for width in hidden)]
    written_out = parse_spec("cnn:" + ",".join(words))
    assert written_out == parse_spec(name)
    assert str(written_out) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nature:8%", r"nature is followed by one of 100%, 25%, 7%, 4%; got '8%'"),
        ("nature", "nature is followed by one of"),
        ("natur:7%", r"unknown family 'natur'; known: mlp, .*nature.* Did you mean .*nature"),
        ("nature:7%,fc9", "unknown word 'fc9'"),
        ("minatar:9", "unknown word '9'"),
        ("cnn", "give 1 to 64 convolutions"),
        ("cnn:fc8", "give 1 to 64 convolutions"),
        ("cnn:16x3,fc8,8x2", "8x2 stands behind a full layer"),
        ("cnn:16x3,fx8", r"unknown word 'fx8'; known: 16x8s4, fc256"),
        ("cnn:0x3", "channels must be 1 to 4,096, got 0"),
        ("cnn:8x65", "kernel must be 1 to 64, got 65"),
        ("cnn:8x3s0", "stride must be 1 to 64, got 0"),
        ("cnn:8x3p65", "padding must be 0 to 64, got 65"),
        ("cnn:8x3,fc0", "a full layer must be 1 to 65,536 wide, got 0"),
        ("cnn:8x3,relu,tanh", "activation is given twice"),
        ("cnn:8x3,init=ortogonal", "Did you mean orthogonal"),
        ("cnn:" + "1x1," * 64 + "1x1", "give 1 to 64 convolutions"),
        ("impala", "impala is followed by small"),
        ("impala:smal", r"Did you mean small\?"),
        ("impala:16,fc0", "a full layer must be 1 to"),
        ("impala:0,fc8", "channels must be 1 to 4,096, got 0"),
        ("impala:fc8", "give the channels of 1 to 16 sections"),
        ("impala:small,init=torch,init=torch", "init is given twice"),
        ("impala:small,fc8", "impala is followed by small"),
    ],
    ids=lambda text: text[:30],
)
def test_a_bad_spec_says_what_is_wrong_with_it(text, message):
    with pytest.raises(SettingError, match=message):
        parse_spec(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CnnSpec((), (3,)),
        lambda: CnnSpec((Convolution(3, 3),), (0,)),
        lambda: CnnSpec((Convolution(3, 3),), (), "sine"),
        lambda: Convolution(3, 3, padding=-1),
    ],
)
def test_a_spec_made_without_text_is_checked_too(make):
    with pytest.raises(SettingError):
        make()
