"""Teachers named by a URI: the user's own code, and what a text must look like."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.core import CategoricalHead, DeterministicHead
from rldistill.errors import MisfitError, SettingError
from rldistill.teachers.load import load_teacher
from rldistill.teachers.uris import HubFile, Members, PyName, name_of_source, parse_uri

TASK = {"observation_shape": (4,), "action_space": spaces.Discrete(2)}
RULE = """
import numpy as np
import torch

def policy(observations):
    return (observations[:, 0] > {bound}).astype(int)

def scores(observations):
    return observations[:, :2]

class Net:
    layer = torch.nn.Linear(4, 2)

text = "a.zip"
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """A module of the user's own in the current folder, under a name that no other test uses."""
    monkeypatch.chdir(tmp_path)
    name = f"own_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(RULE.format(bound=0.0))
    return name


@torch.no_grad()
def test_a_rule_of_the_users_own_needs_no_trust(module):
    policy = load_teacher(f"py:{module}:policy", announce=None, **TASK)
    assert isinstance(policy.info.head, CategoricalHead)
    seen = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    assert policy(seen).mode().tolist() == [1, 0]
    assert policy.info.source == f"py:{module}:policy"


def test_a_head_by_name_and_a_module_inside_a_class(module):
    policy = load_teacher(f"py:{module}:scores", head="q-values", announce=None, **TASK)
    assert policy.info.head.num_outputs == 2
    net = load_teacher(f"py:{module}:Net.layer", announce=None, **TASK)
    assert net.info.acting_parameters == 10


def test_a_rule_that_was_changed_has_another_fingerprint(module, tmp_path):
    """A function has no weights: the source of its module stands for them."""
    before = load_teacher(f"py:{module}:policy", announce=None, **TASK).info.fingerprint
    assert load_teacher(f"py:{module}:policy", announce=None, **TASK).info.fingerprint == before
    (tmp_path / f"{module}.py").write_text(RULE.format(bound=0.5))
    assert load_teacher(f"py:{module}:policy", announce=None, **TASK).info.fingerprint != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("py:{}:polic", "Did you mean policy"),
        ("py:absent_module:policy", "no module 'absent_module'"),
        ("py:{}", "must have the form py:MODULE:NAME"),
        ("py:{}:text", "is a str"),
        ("hf://name", "must have the form hf://ORG/NAME"),
        ("ensemble:a.zip", "at least two teachers"),
        ("ensemble:a.zip,", "at least two teachers"),
    ],
)
def test_what_no_uri_may_be_is_told(text, message, module):
    with pytest.raises(SettingError, match=message):
        load_teacher(text.format(module), **TASK)


def test_settings_without_effect_are_errors(module):
    with pytest.raises(SettingError, match="trust is about code in a file"):
        load_teacher(f"py:{module}:policy", trust=True, **TASK)
    with pytest.raises(SettingError, match="head has no effect on an ensemble"):
        load_teacher(f"ensemble:py:{module}:policy,b.zip", head="gaussian", **TASK)


def test_texts_are_read_whether_or_not_they_went_through_a_path():
    """Path("hf://a/b") is hf:/a/b."""
    for text in ("hf://org/name/sub/file.zip", "hf:/org/name/sub/file.zip"):
        assert parse_uri(text) == HubFile("org/name", None, "sub/file.zip")
    assert parse_uri("hf://org/na.me@v1") == HubFile("org/na.me", "v1", None)
    assert parse_uri("py:a.b:c.d") == PyName("a.b", "c.d")
    assert parse_uri("confident:a,b").is_confident
    assert parse_uri("ensemble:a, b") == Members(("a", "b"), False)
    assert parse_uri("model.zip") is None
    assert parse_uri("C:/model.zip") is None
    assert parse_uri(len) is None


def test_a_file_of_such_a_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "py:odd:name").write_bytes(b"x")
    assert parse_uri("py:odd:name") is None


def test_a_run_records_the_uri_as_it_was_given():
    assert name_of_source("hf://org/name") == "hf://org/name"
    assert name_of_source("./a.zip") == "a.zip"
    assert name_of_source(None) is None


def test_a_rule_that_does_not_fit_is_an_error(module):
    box = spaces.Box(-1.0, 1.0, (2,), np.float32)
    policy = load_teacher(
        f"py:{module}:scores", observation_shape=(4,), action_space=box, announce=None
    )
    assert isinstance(policy.info.head, DeterministicHead)
    with pytest.raises(MisfitError):
        load_teacher(f"py:{module}:scores", head="deterministic", **TASK)
