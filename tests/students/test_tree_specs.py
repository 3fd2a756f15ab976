"""Specs of trees: what is refused, and in which words."""

import pytest

from rldistill.errors import SettingError
from rldistill.students.families import is_grown, parse_spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tree", "give the number of leaves, for example tree:16"),
        ("tree:", "give the number of leaves"),
        ("tree:x", "got 'x'"),
        ("tree:8,4", "got '8,4'"),
        ("tree:0", "leaves must be 1 to 1,048,576, got 0"),
        ("linear-tree:-3", "got -3"),
        ("rules:0", "rules must be 1 to"),
        ("tree:9999999", "got 9999999"),
        ("tre:8", "Did you mean .*tree"),
        ("soft-tree:", "give the depth, for example soft-tree:4"),
        ("soft-tree:13", "1 to 12, got 13"),
    ],
)
def test_bad_specs_are_refused_in_words(text, message):
    with pytest.raises(SettingError, match=message):
        parse_spec(text)


def test_linear_is_an_mlp_without_hidden_layers():
    assert str(parse_spec("linear")) == str(parse_spec("linear:")) == "mlp:linear"
    assert str(parse_spec("linear:clip=5")) == "mlp:linear,clip=5"
    with pytest.raises(SettingError):
        parse_spec("linear:32")


def test_who_is_grown():
    assert [is_grown(parse_spec(t)) for t in ("tree:2", "rules:1", "soft-tree:1", "linear")] == [
        True,
        True,
        False,
        False,
    ]
