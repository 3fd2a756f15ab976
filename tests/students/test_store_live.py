"""Students of the user's own class on disk: weights alone, and the way back into a module."""

import json
import pathlib

import pytest
import torch
from fake_policies import HEADS, info_for
from live_modules import Awkward, Plain, same_weights

from rldistill.core import NetworkPolicy
from rldistill.errors import NotFiniteError, SettingError, ShapeError, TeacherFileError
from rldistill.students.store import load_student, save_student
from rldistill.students.weights import differences

HEAD = HEADS["categorical"]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    save(Plain(), tmp_path)
    return tmp_path


def save(module: torch.nn.Module, folder: pathlib.Path, name: str = "Plain") -> None:
    save_student(NetworkPolicy(module, info_for(HEAD, 2, name)), folder, {"seed": 3})


def edit(folder: pathlib.Path, **changes: object) -> None:
    path = folder / "student.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_awkward_module_round_trips(tmp_path):
    """Tied weights, buffers with -inf, integers: every tensor bit by bit, the ties kept."""
    module, other = Awkward(), Awkward()
    with torch.no_grad():
        module.first_again.normal_()
        module.norm.running_mean.normal_()
        module.norm.num_batches_tracked.fill_(7)
    save(module, tmp_path, "Awkward")
    loaded = load_student(tmp_path, other.train())
    assert loaded.module is other
    assert same_weights(other, module)
    assert other.middle.weight is other.first_again
    assert not other.training
    assert not other.frozen.weight.requires_grad
    assert other.first.weight.requires_grad
    assert (loaded.info.name, loaded.info.head) == ("Awkward", HEAD)
    record = json.loads((tmp_path / "student.json").read_text())
    assert loaded.info.parameters == record["parameters"]
    assert loaded.info.fingerprint == record["weights_sha256"]


def test_the_card_names_the_class_and_nothing_of_it_is_pickled(folder):
    record = json.loads((folder / "student.json").read_text())
    assert record["own_class"] == "Plain"
    assert record["architecture"] == "(a live object: Plain)"
    assert record["seed"] == 3
    content = (folder / "student.safetensors").read_bytes()
    assert b"live_modules" not in content + (folder / "student.json").read_bytes()


def test_without_the_module_it_is_told_what_to_do(folder):
    with pytest.raises(TeacherFileError) as caught:
        load_student(folder)
    for words in ("a Plain, a live object", "only its weights", "load_policy(", "module=...)"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Plain(width=9), r"first.weight is saved as \[8, 2\] torch.float32, the module has \[9, 2"),
        (Awkward(), "first_again is in the module and not saved; .*; and 9 more"),
        (torch.nn.Linear(2, 2), "first.weight is saved and not in the module"),
        (Plain().double(), r"the module has \[8, 2\] torch.float64"),
    ],
)
def test_a_module_of_another_kind_is_refused_and_left_alone(folder, module, message):
    module.train()
    before = {name: x.clone() for name, x in module.state_dict().items()}
    with pytest.raises(ShapeError, match=f"of a Plain, do not fit the module given.*: .*{message}"):
        load_student(folder, module)
    assert all(torch.equal(x, before[name]) for name, x in module.state_dict().items())
    assert module.training


def test_nan_weights_are_refused_and_infinite_masks_are_not(tmp_path):
    module = Awkward()
    save(module, tmp_path)
    load_student(tmp_path, Awkward())
    with torch.no_grad():
        module.norm.running_mean[0] = torch.nan
    save(module, tmp_path)
    with pytest.raises(NotFiniteError, match=r"norm\.running_mean"):
        load_student(tmp_path, Awkward())
    with torch.no_grad():
        module.norm.running_mean[0] = 0.0
        module.last.bias[0] = torch.inf
    save(module, tmp_path)
    with pytest.raises(NotFiniteError, match=r"last\.bias"):
        load_student(tmp_path, Awkward())


def test_a_module_that_is_not_needed_is_an_error(tmp_path):
    from rldistill.students.families import parse_spec
    from rldistill.students.mlp import Mlp

    mlp = Mlp(parse_spec("mlp:4"), 2, HEAD)
    save_student(NetworkPolicy(mlp, info_for(HEAD, 2)), tmp_path, {})
    with pytest.raises(SettingError, match=r"module has no effect: .* holds a mlp:4"):
        load_student(tmp_path, Plain())


@pytest.mark.parametrize(
    "changes",
    [
        {"own_class": "\x1b[2J"},
        {"own_class": "x" * 1000},
        {"observation_shape": []},
        {"observation_shape": [2, -1]},
        {"observation_shape": [True]},
        {"head": None},
        {"weights_sha256": "../x"},
    ],
)
def test_a_damaged_card_is_told(folder, changes):
    edit(folder, **changes)
    with pytest.raises(TeacherFileError, match="is damaged"):
        load_student(folder, Plain())


def test_a_strange_name_is_made_showable(tmp_path):
    save(Plain(), tmp_path, "My\x1b[2JNet")
    assert load_student(tmp_path, Plain()).info.name == "My__2JNet"


def test_differences_are_counted_where_they_are_many():
    one = {str(n): torch.zeros(1) for n in range(9)}
    assert differences(one, one) == ""
    assert differences(one, {}).endswith("; and 5 more")
