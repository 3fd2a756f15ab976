import json

import pytest
from torch import nn

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers.settings import MOST_JSON_DEPTH, Settings, settings_of_json


def read(**entries) -> Settings:
    return settings_of_json(json.dumps(entries).encode(), "x.zip")


def test_the_activation_is_read_from_the_readable_sibling_of_a_pickle():
    kwargs = {":serialized:": "gA==", "activation_fn": "<class 'torch.nn.modules.activation.ELU'>"}
    assert read(policy_kwargs=kwargs).activation(nn.Tanh) == (nn.ELU, "elu")


def test_without_one_the_default_is_taken_and_said():
    assert read(policy_kwargs={}).activation(nn.Tanh) == (nn.Tanh, "tanh (default)")


def test_an_unknown_activation_is_named():
    with pytest.raises(TeacherFileError, match="activation 'Snake'; known are Tanh"):
        read(
            policy_kwargs={"activation_fn": "<class 'torch.nn.modules.activation.Snake'>"}
        ).activation(nn.Tanh)
    with pytest.raises(TeacherFileError, match="not supported yet: activation"):
        read(policy_kwargs={"activation_fn": "<function f at 0x7f>"}).activation(nn.Tanh)


@pytest.mark.parametrize(
    ("written", "gamma"),
    [
        (0.99, 0.99),
        (1, 1.0),
        (0, 0.0),
        (1.5, None),
        (-0.1, None),
        ("0.9", None),
        (True, None),
        (None, None),
    ],
)
def test_gamma_is_a_number_in_0_1_or_unknown(written, gamma):
    assert read(gamma=written).gamma == gamma


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
def test_gamma_that_is_no_finite_number_is_unknown(text):
    assert settings_of_json(f'{{"gamma": {text}}}'.encode(), "x").gamma is None


def test_counts_come_from_the_policy_before_the_model():
    settings = read(policy_kwargs={"n_quantiles": 25}, n_quantiles=50)
    assert settings.count("n_quantiles", 200) == 25
    assert settings.count("n_critics", 2) == 2
    assert read(policy_kwargs={"n_quantiles": -1}).count("n_quantiles", 200) == 200


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"3", b"\xff\xfe", b"{'a': 1}", b'{"a": 1}}'])
def test_what_is_no_json_object_is_an_error(data):
    with pytest.raises(TeacherFileError, match="its data is"):
        settings_of_json(data, "x.zip")


@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_deep_json_is_refused(pair):
    opening = pair[0] if pair == "[]" else '{"a":'
    for depth in (MOST_JSON_DEPTH + 1, 200_000):
        with pytest.raises(UnsafeFileError, match="nested deeper"):
            settings_of_json((opening * depth + "1" + pair[1] * depth).encode(), "x.zip")


def test_brackets_inside_strings_are_not_nesting():
    text = "[" * 1_000 + '"' + "\\" + "{" * 1_000
    assert read(policy_class={"__module__": "m", "__doc__": text}).policy_module == "m"


def test_settings_of_the_wrong_type_are_ignored():
    settings = read(policy_kwargs=[1], policy_class="x", observation_space=3, action_space=None)
    assert settings.policy_kwargs == {}
    assert settings.policy_module == ""
    assert settings.action.kind == ""
