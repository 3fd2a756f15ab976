"""What the rest of the library may ask of every student family."""

import copy
import json

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rldistill.core import NetworkPolicy
from rldistill.errors import SettingError, TeacherFileError
from rldistill.students.build import another_like, make_student
from rldistill.students.families import FAMILIES, MLP, family_of, parse_spec, require_family
from rldistill.students.store import load_student, save_student
from rldistill.students.tree_module import TreeModule
from rldistill.students.tree_targets import targets_of
from rldistill.train.students import choose_student

FLAT = spaces.Box(-1, 1, (6,))
# A spec and what it sees: at least one of every family, see the first test.
FRAMES = spaces.Box(0, 255, (4, 40, 44), np.uint8)
PICTURE = spaces.Box(0, 255, (12, 11, 3), np.uint8)
PICTURE_OF_FLOATS = spaces.Box(0, 1, (3, 2, 2))
GRID = spaces.Box(0, 1, (10, 10, 10), np.bool_)
CASES = [
    ("mlp:8,relu", FLAT),
    ("mlp:8,clip=5", FLAT),
    ("mlp:linear", FLAT),
    ("mlp:8", PICTURE),
    ("nature:4%", FRAMES),
    ("nature:7%,tanh,layernorm,init=torch", FRAMES),
    ("minatar", GRID),
    ("cnn:6x3s2,5x2p1,fc9,fc7", PICTURE),
    ("cnn:6x3", PICTURE),
    ("impala:small", GRID),
    ("soft-tree:3", FLAT),
    ("impala:3,4,fc8,init=orthogonal", PICTURE),
    ("multi:minatar,fc16", GRID),
    ("multi:mlp:8,relu,fc4", FLAT),
    ("gru:5", FLAT),
    ("lstm:5,4", FLAT),
    ("gru:5:mlp:7,relu,clip=5", FLAT),
    ("gru:5", PICTURE_OF_FLOATS),
    ("lstm:6:cnn:6x3s2,fc9", PICTURE),
]
GROWN = [("tree:8", FLAT), ("linear-tree:3", FLAT), ("rules:3", FLAT)]
any_case = pytest.mark.parametrize(
    ("spec", "sees"), CASES + GROWN, ids=[spec for spec, _ in CASES + GROWN]
)
each_case = pytest.mark.parametrize(("spec", "sees"), CASES, ids=[spec for spec, _ in CASES])
ACTS = spaces.Discrete(3)


def student_of(spec: str, sees: spaces.Box) -> NetworkPolicy:
    """With outputs far from 0."""
    torch.manual_seed(0)
    student = make_student(spec, sees, ACTS)
    for parameter in student.module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    require_family(student.module).fit_inputs(student.module, states(sees, 50))
    if isinstance(student.module, TreeModule):
        growth = student.module.spec.growth
        x, raw = states(sees, 50).numpy(), torch.randn(50, int(ACTS.n)).numpy()
        targets = targets_of(student.info.head, raw, weighted=True)
        student.module.grow(growth.grow(x, targets, student.module.spec.size))
    student.module.eval()  # as it acts
    return student


def states(sees: spaces.Box, count: int) -> torch.Tensor:
    sees.seed(count)
    drawn = np.stack([sees.sample() for _ in range(count)])
    return torch.from_numpy(drawn if drawn.dtype != np.bool_ else drawn.astype(np.float32))


def raw_of(policy: NetworkPolicy, seen: torch.Tensor) -> torch.Tensor:
    """Raw outputs, at the start of episodes."""
    return policy.step(seen, policy.initial_state(len(seen)))[0]


def test_every_family_has_a_case_and_every_name_one_family():
    assert {family_of(parse_spec(spec)) for spec, _ in CASES + GROWN} == set(FAMILIES)
    names = [name for family in FAMILIES for name in family.names]
    assert len(names) == len(set(names))
    assert all(family_of(parse_spec(family.example)) is family for family in FAMILIES)


@any_case
def test_a_spec_is_what_its_text_says(spec, sees):
    parsed = parse_spec(spec)
    assert str(parsed) == spec
    network = make_student(parsed, sees, ACTS).module
    assert network.spec == parsed
    assert family_of(network) is family_of(parsed) is require_family(parsed)


@any_case
@torch.no_grad()
def test_a_student_round_trips(tmp_path, spec, sees):
    student, seen = student_of(spec, sees), states(sees, 20)
    save_student(student, tmp_path, {})
    loaded = load_student(tmp_path)
    torch.testing.assert_close(raw_of(loaded, seen), raw_of(student, seen), atol=1e-4, rtol=1e-4)
    assert loaded.info.name == spec
    assert loaded.info.observation_shape == sees.shape
    assert (
        loaded.info.parameters == json.loads((tmp_path / "student.json").read_text())["parameters"]
    )
    again = tmp_path / "again"
    again.mkdir()
    save_student(loaded, again, {})
    names = [path / "student.safetensors" for path in (tmp_path, again)]
    assert names[0].read_bytes() == names[1].read_bytes()


@any_case
@torch.no_grad()
def test_outputs_are_scaled(spec, sees):
    student, seen = student_of(spec, sees), states(sees, 20)
    before = raw_of(student, seen)
    require_family(student.module).scale_outputs(student.module, 4.0)
    torch.testing.assert_close(raw_of(student, seen), 4.0 * before)


@each_case
def test_fresh_has_the_same_layers_and_other_weights(spec, sees):
    """And neither shares a tensor with the other."""
    student = student_of(spec, sees)
    kept = copy.deepcopy(student.module.state_dict())
    other = another_like(student)
    assert type(other.module) is type(student.module)
    assert other.info.name == spec
    assert {k: v.shape for k, v in other.module.state_dict().items()} == {
        k: v.shape for k, v in kept.items()
    }
    assert any(not torch.equal(v, kept[k]) for k, v in other.module.named_parameters())
    for parameter in other.module.parameters():
        torch.nn.init.zeros_(parameter)
    assert all(torch.equal(v, kept[k]) for k, v in student.module.state_dict().items())


@each_case
def test_folding_leaves_the_network_as_it_was(spec, sees):
    student, seen = student_of(spec, sees), states(sees, 5)
    before = raw_of(student, seen)
    require_family(student.module).fold(student.module)
    assert torch.equal(raw_of(student, seen), before)
    assert before.requires_grad


@each_case
def test_the_count_is_that_of_the_parameters_and_kept_statistics(spec, sees):
    student = make_student(spec, sees, ACTS)
    parameters = sum(p.numel() for p in student.module.parameters())
    # Mean and deviation of each input, where they are not folded into the first layer.
    stays = any(word in spec for word in ("clip", "multi:mlp", "gru", "lstm"))
    kept = 2 * int(np.prod(sees.shape)) if stays and "cnn" not in spec else 0
    assert student.info.parameters == parameters + kept


@any_case
def test_spec_and_policy_are_chosen_alike(spec, sees):
    """As text, as a spec, and as a policy, which learns as a copy and gets the weights in the
    end."""
    teacher = make_student("mlp:64,64", sees, ACTS).info
    for student in (spec, parse_spec(spec)):
        chosen = choose_student(student, teacher, sees, ACTS)
        assert (chosen.text, chosen.policy.info.name) == (spec, spec)
    mine = make_student(spec, sees, ACTS)
    chosen = choose_student(mine, teacher, sees, ACTS)
    assert chosen.policy.module is not mine.module
    for parameter in chosen.policy.module.parameters():
        torch.nn.init.ones_(parameter)
    chosen.give_back(chosen.policy.module)
    assert all(bool((p == 1).all()) for p in mine.module.parameters())


@any_case
@pytest.mark.parametrize("shape", [[1], [10**7], [2] * 8, [2] * 9, [1, 1, 1], [7, 1, 1]])
def test_a_card_with_other_shapes_is_refused(tmp_path, spec, sees, shape):
    save_student(student_of(spec, sees), tmp_path, {})
    card = tmp_path / "student.json"
    record = json.loads(card.read_text())
    for entry in (record, *record.get("tasks", ())):
        entry["observation_shape"] = shape
    card.write_text(json.dumps(record))
    with pytest.raises(TeacherFileError):
        load_student(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mpl:32", r"unknown family 'mpl'; known: mlp, .*minatar.*Did you mean mlp"),
        ("", "unknown family ''"),
        (":", "unknown family ''"),
        ("mlp:" + "9" * 5000, "at most 1000 characters"),
    ],
    ids=lambda text: text[:30],
)
def test_an_unknown_family_is_told_the_known_ones(text, message):
    with pytest.raises(SettingError, match=message):
        parse_spec(text)


NAMES = [name for family in FAMILIES for name in family.names]
words = st.sampled_from(
    [
        *(f"{name}:" for name in NAMES),
        *NAMES,
        "8",
        "16x3",
        "64",
        ",",
        "s2",
        "fc9",
        "relu",
        "%",
        "-",
        "7%",
    ]
)


@given(st.text() | st.lists(words).map("".join))
def test_any_text_is_a_spec_or_a_setting_error(text):
    try:
        spec = parse_spec(text)
    except SettingError:
        return
    assert parse_spec(str(spec)) == spec


def test_what_is_no_spec_names_examples():
    with pytest.raises(SettingError, match=r"such as mlp:32,32.*; got a int"):
        require_family(3)
    assert family_of(torch.nn.Linear(1, 1)) is None
    assert family_of(parse_spec("mlp:8")) is MLP
