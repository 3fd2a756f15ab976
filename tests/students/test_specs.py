import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import SettingError
from rldistill.students.families import parse_spec
from rldistill.students.specs import ACTIVATIONS, INITS, LARGEST_WIDTH, MlpSpec

specs = st.builds(
    MlpSpec,
    hidden=st.lists(st.integers(1, LARGEST_WIDTH), min_size=1, max_size=5).map(tuple),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    layer_norm=st.booleans(),
    init=st.sampled_from(INITS),
    clip=st.none() | st.floats(0, 1e30, exclude_min=True),
)


@given(specs)
def test_a_spec_is_what_its_text_says(spec):
    """To the last digit of the clip: the text is what a saved student is built from."""
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("mlp:32,32", MlpSpec()),
        (" mlp: 8 , relu,layernorm ", MlpSpec((8,), "relu", layer_norm=True)),
        ("mlp:linear", MlpSpec(())),
        ("mlp:linear,clip=5", MlpSpec((), clip=5.0)),
        ("mlp:8,init=torch,clip=2.5", MlpSpec((8,), init="torch", clip=2.5)),
    ],
)
def test_specs_by_hand(text, spec):
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp:32,rleu", "unknown word 'rleu'.*Did you mean relu"),
        ("mlp:32,layer_norm", "Did you mean layernorm"),
        ("mlp:32,init=ortogonal", "init must be one of.*Did you mean orthogonal?"),
        ("mlp:0", "a hidden width must be 1 to 65,536, got 0"),
        ("mlp:32,-4", "a hidden width must be 1 to 65,536, got -4"),
        ("mlp:65537", "a hidden width must be 1 to 65,536"),
        ("mlp:--4", "unknown word '--4'"),
        ("mlp:²", "unknown word '²'"),
        ("mlp:1e3", "unknown word '1e3'"),
        ("mlp:", "give the hidden widths"),
        ("mlp", "give the hidden widths"),
        ("mlp:relu", "give the hidden widths"),
        ("mlp:32,,32", "unknown word ''"),
        ("mlp:32,clip=0", "clip must be a finite number above 0, got 0.0"),
        ("mlp:32,clip=inf", "clip must be a finite number"),
        ("mlp:32,clip=nan", "clip must be a finite number"),
        ("mlp:32,clip=wide", "clip must be a number above 0, got 'wide'"),
        ("mlp:32,relu,tanh", "activation is given twice"),
        ("mlp:32,clip=1,clip=2", "clip is given twice"),
        ("mlp:32,linear", "linear means no hidden layer"),
        ("mlp:linear,relu", "have no effect without a hidden layer"),
        ("mlp:linear,layernorm", "have no effect without a hidden layer"),
        ("mlp:" + "1," * 64 + "1", "at most 64 hidden layers, got 65"),
        ("mlp:" + "9" * 900, "unknown word '999"),
    ],
    ids=lambda text: text[:30],
)
def test_a_bad_spec_says_what_is_wrong_with_it(text, message):
    with pytest.raises(SettingError, match=message):
        parse_spec(text)


@given(st.text() | st.lists(st.sampled_from(["mlp:", "8", ",", "relu", "clip=", "-"])).map("".join))
def test_any_text_is_a_spec_or_a_setting_error(text):
    try:
        spec = parse_spec(text)
    except SettingError:
        return
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    "settings",
    [{"hidden": (0,)}, {"activation": "sine"}, {"init": "zeros"}, {"clip": math.nan}],
)
def test_a_spec_made_without_text_is_checked_too(settings):
    with pytest.raises(SettingError):
        MlpSpec(**settings)
