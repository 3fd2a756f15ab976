import hashlib
import json
import math
import struct
from pathlib import Path

import pytest
import torch
from fake_policies import HEADS, info_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from rldistill.core import NetworkPolicy
from rldistill.errors import NotFiniteError, RunFolderError, TeacherFileError
from rldistill.students import store
from rldistill.students.families import parse_spec
from rldistill.students.mlp import Mlp, num_parameters
from rldistill.students.store import load_student, save_student

STATES = 1.0 + 2.0 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0))


def student_of(seed: int = 0, spec: str = "mlp:8,8", head=HEADS["categorical"]) -> NetworkPolicy:
    """A student with a fitted normaliser and outputs that are not all near 0."""
    torch.manual_seed(seed)
    net = Mlp(parse_spec(spec), 4, head)
    net.normaliser.fit(STATES)
    with torch.no_grad():
        net.layers[-1].weight.normal_()
        if net.log_std is not None:
            net.log_std.normal_()
    return NetworkPolicy(net, info_for(head))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_student(student_of(), tmp_path, {"task": {"id": "Toy-v0"}})
    return tmp_path


def edit(folder: Path, **changes: object) -> None:
    path = folder / "student.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def plant(folder: Path, weights: bytes) -> None:
    """Other weights under a card that names them, as an attacker would write them."""
    (folder / "student.safetensors").write_bytes(weights)
    edit(folder, weights_sha256=hashlib.sha256(weights).hexdigest())


@pytest.mark.parametrize(
    "spec", ["mlp:8,8", "mlp:linear", "mlp:8,relu,layernorm,init=torch", "mlp:8,clip=1.23456789"]
)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@torch.no_grad()
def test_a_student_round_trips(tmp_path, spec, head):
    """Outputs, head (infinite bounds too), shape, name and size; from folder, JSON or weights."""
    student = student_of(0, spec, head)
    save_student(student, tmp_path, {})
    for path in (tmp_path, tmp_path / "student.json", tmp_path / "student.safetensors"):
        loaded = load_student(path)
        torch.testing.assert_close(loaded.raw(STATES), student.raw(STATES), atol=1e-5, rtol=0)
        assert loaded.info.head == head
        assert loaded.info.observation_shape == (4,)
        assert loaded.info.name == spec
        assert loaded.info.source == str(path)
        expected = num_parameters(student.module)
        assert loaded.info.parameters == loaded.info.acting_parameters == expected
    record = json.loads((tmp_path / "student.json").read_text())
    assert record["parameters"] == expected
    assert loaded.info.fingerprint == record["weights_sha256"]
    assert not loaded.module.training


@torch.no_grad()
def test_a_normaliser_too_far_off_to_fold_round_trips(tmp_path):
    student = student_of()
    far = STATES + 1e6
    student.module.normaliser.fit(far)
    save_student(student, tmp_path, {})
    loaded = load_student(tmp_path)
    assert torch.equal(loaded.raw(far), student.raw(far))
    assert loaded.info.parameters == num_parameters(student.module) + 8


def test_saving_what_was_loaded_gives_the_same_bytes(folder, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    save_student(load_student(folder), again, {})
    names = [path / "student.safetensors" for path in (folder, again)]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_the_card_is_kept_beside_what_the_store_says_itself(folder):
    save_student(student_of(), folder, {"task": {"id": "Toy-v0"}, "format": "mine", "seed": 3})
    record = json.loads((folder / "student.json").read_text())
    assert record["task"] == {"id": "Toy-v0"}
    assert record["seed"] == 3
    assert record["format"] == 1


def test_saving_leaves_two_files(folder):
    save_student(student_of(1), folder, {})
    assert sorted(path.name for path in folder.iterdir()) == ["student.json", "student.safetensors"]


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_save_cut_short_anywhere_leaves_the_old_student_or_the_new(folder, monkeypatch, done):
    """Three writes; after `done` of them the process dies."""
    old, new = student_of(0), student_of(1)
    writes = []

    def write(path: Path, data: bytes | str) -> None:
        if len(writes) == done:
            raise RunFolderError("no space left")
        writes.append(path)
        real(path, data)

    real = store.atomic_write
    monkeypatch.setattr(store, "atomic_write", write)
    if done < 3:
        with pytest.raises(RunFolderError):
            save_student(new, folder, {})
    else:
        save_student(new, folder, {})
    with torch.no_grad():
        raw = load_student(folder).raw(STATES)
        expected = (old if done < 2 else new).raw(STATES)
    torch.testing.assert_close(raw, expected, atol=1e-5, rtol=0)


def test_a_later_save_clears_up_after_one_cut_short(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "glob", lambda *args: pytest.fail("the process died before this"))
        with pytest.raises(pytest.fail.Exception):
            save_student(student_of(1), folder, {})
    assert len(list(folder.iterdir())) == 3
    save_student(student_of(2), folder, {})
    assert len(list(folder.iterdir())) == 2
    with torch.no_grad():
        found, expected = load_student(folder).raw(STATES), student_of(2).raw(STATES)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


# --- torn, damaged and hostile files --------------------------------------------------------------


def test_json_without_weights(folder):
    (folder / "student.safetensors").unlink()
    with pytest.raises(TeacherFileError, match="no weights with the sha256"):
        load_student(folder)


def test_weights_without_json(folder):
    (folder / "student.json").unlink()
    with pytest.raises(TeacherFileError, match=r"holds no student.json: is it a run folder\?"):
        load_student(folder)


def test_weights_of_another_student(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    save_student(student_of(1), other, {})
    (folder / "student.safetensors").write_bytes((other / "student.safetensors").read_bytes())
    with pytest.raises(TeacherFileError, match="do not belong together"):
        load_student(folder)


@pytest.mark.parametrize("path", ["nowhere", "student.bin", "nowhere/student.json"])
def test_what_is_no_student_is_refused(folder, path):
    """student.bin lies beside a good student and is not taken for it."""
    (folder / "student.bin").write_bytes(b"")
    with pytest.raises(TeacherFileError, match=r"neither a run folder|holds no student\.json"):
        load_student(folder / path)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.999])
def test_truncated_weights(folder, share):
    weights = (folder / "student.safetensors").read_bytes()
    cut = weights[: int(share * len(weights))]
    (folder / "student.safetensors").write_bytes(cut)
    with pytest.raises(TeacherFileError, match="no weights with the sha256"):
        load_student(folder)
    plant(folder, cut)
    with pytest.raises(TeacherFileError, match=r"student\.safetensors is damaged"):
        load_student(folder)


@pytest.mark.parametrize(
    "weights",
    [
        b"not safetensors at all",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**20) + b"{" * 2**20,
        save({}),
        save({"layers.0.weight": torch.zeros(8, 4)}),
    ],
)
def test_weights_that_are_none(folder, weights):
    plant(folder, weights)
    with pytest.raises(TeacherFileError, match=r"is damaged|are not those of"):
        load_student(folder)


@pytest.mark.parametrize("change", ["extra", "missing", "shape", "float64", "int64", "complex64"])
def test_weights_that_do_not_fit_the_card(folder, change):
    tensors = load((folder / "student.safetensors").read_bytes())
    name = next(iter(tensors))
    if change == "extra":
        tensors["more"] = torch.zeros(1)
    elif change == "missing":
        del tensors[name]
    elif change == "shape":
        tensors[name] = tensors[name][None]
    else:
        tensors[name] = tensors[name].to(getattr(torch, change))
    plant(folder, save(tensors))
    with pytest.raises(TeacherFileError, match="the weights are not those of a mlp:8,8"):
        load_student(folder)


def test_more_weights_than_the_card_asks_for_are_not_read(folder):
    """The file is as large as an attacker likes; what is read is bounded by the architecture."""
    path = folder / "student.safetensors"
    with path.open("r+b") as file:
        file.truncate(2**40)  # takes no space on the disk
    with pytest.raises(TeacherFileError, match="no weights with the sha256"):
        load_student(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite(tmp_path, value):
    student = student_of()
    with torch.no_grad():
        student.module.layers[0].weight[0, 0] = value
    save_student(student, tmp_path, {})
    with pytest.raises(NotFiniteError, match=r"weight layers\.0\..* holds NaN or infinity"):
        load_student(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2}, {"format": "1"}, {"format": True}, {"format": None},
        {"architecture": "mlp:0"}, {"architecture": 5}, {"architecture": None},
        {"architecture": "mlp:65536,65536,65536"}, {"architecture": "mlp:" + "8," * 10**5},
        {"architecture": "mlp:" + "9" * 10_000}, {"architecture": "nature:8%"},
        {"observation_shape": []}, {"observation_shape": [4, 4]}, {"observation_shape": [-4]},
        {"observation_shape": [10**12]}, {"observation_shape": [10**400]},
        {"observation_shape": 4}, {"observation_shape": [4.5]}, {"observation_shape": ["4"]},
        {"observation_shape": [0]}, {"observation_shape": [16_000_000]},
        {"normaliser": "no"}, {"normaliser": True}, {"normaliser": None},
        {"head": None}, {"head": {}}, {"head": {"kind": ["a"]}},
        {"head": {"kind": "categorical", "num_actions": 10**12}},
        {"head": {"kind": "categorical", "num_actions": 10**7}},
        {"head": {"kind": "categorical", "num_actions": 4}},
        {"head": {"kind": "gaussian", "low": [0], "high": []}},
        {"head": {"kind": "deterministic", "low": [10**400], "high": [1]}},
        {"weights_sha256": None}, {"weights_sha256": ""}, {"weights_sha256": "../../etc/pa"},
        {"weights_sha256": "/etc/passwd"}, {"weights_sha256": "a\0b"}, {"weights_sha256": "\ud800"},
        {"weights_sha256": "0" * 64}, {"weights_sha256": "0" * 10**5},
    ],
    ids=lambda changes: str(changes)[:50],
)  # fmt: skip
def test_a_hostile_card_is_refused(folder, changes):
    edit(folder, **changes)
    with pytest.raises(TeacherFileError):
        load_student(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"format": 1}', b'{"format": 1',
        b'{"format": NaN}', b"1" * 5000, b" " * (17 << 20),
    ],
    ids=lambda text: str(text[:20]),
)  # fmt: skip
def test_a_card_that_is_no_card_is_refused(folder, text):
    (folder / "student.json").write_bytes(text)
    with pytest.raises(TeacherFileError, match=r"student\.json"):
        load_student(folder)


KEYS = ["architecture", "observation_shape", "normaliser", "head", "weights_sha256", "format"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(KEYS), json_values, min_size=1))
def test_no_other_exception_whatever_the_card(folder, changes):
    path = folder / "student.json"
    good = path.read_text()
    edit(folder, **changes)
    try:
        load_student(folder)
    except (TeacherFileError, NotFiniteError):
        pass
    finally:
        path.write_text(good)


def test_weights_outside_the_folder_are_never_read(folder, tmp_path_factory):
    """The name after a crash is made of the card's hash: it must not lead elsewhere."""
    outside = tmp_path_factory.mktemp("outside")
    weights = (folder / "student.safetensors").read_bytes()
    (folder / "student.safetensors").unlink()
    (outside / "x.safetensors").write_bytes(weights)
    (folder / "student-..").mkdir()
    for digest in (f"../../{outside.name}/x", f"{outside}/x"):
        edit(folder, weights_sha256=digest)
        with pytest.raises(TeacherFileError, match=r"is damaged: .*weights_sha256"):
            load_student(folder)
