import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from rldistill.errors import RunFolderError
from rldistill.train import checkpoint
from rldistill.train.checkpoint import (
    FILE,
    flatten,
    load_checkpoint,
    save_checkpoint,
    unflatten,
)

tensors = st.sampled_from(
    [torch.ones(2, 3), torch.tensor(7), torch.zeros(0), torch.arange(4, dtype=torch.uint8)]
)
leaves = tensors | st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
keys = st.integers(0, 20) | st.text("abc_.", min_size=1, max_size=5).filter(lambda k: k != "tensor")
states = st.recursive(
    st.dictionaries(keys, leaves, max_size=3),
    lambda inner: st.dictionaries(keys, leaves | inner, max_size=3),
    max_leaves=8,
)


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "checkpoint", {"w": torch.ones(2)}, {"n": 3})
    return tmp_path / "checkpoint"


@given(states)
def test_nested_states_round_trip(state):
    """Through JSON text too; tensors of every type, numbers as keys, empty mappings."""
    flat, rest = flatten("x", state)
    assert all(isinstance(tensor, torch.Tensor) for tensor in flat.values())
    assert same(unflatten(json.loads(json.dumps(rest)), flat), state)


@given(states, states)
def test_two_states_of_different_names_do_not_meet(a, b):
    """Names of tensors are unique within a state, so that none replaces another."""
    flat_a, flat_b = flatten("a", a)[0], flatten("b", b)[0]
    assert len(flat_a | flat_b) == len(flat_a) + len(flat_b)


def test_a_checkpoint_round_trips(tmp_path: Path):
    given = {
        "scalar": torch.tensor(3.5),
        "bytes": torch.Generator().get_state(),
        "whole": torch.arange(6, dtype=torch.int64).reshape(2, 3),
        "flags": torch.tensor([True, False]),
    }
    record = {"a": {"b": [1, 2.5, None, "x"]}, "c": True}
    save_checkpoint(tmp_path / "c", given, record)
    found, read = load_checkpoint(tmp_path / "c")
    assert same(dict(sorted(found.items())), dict(sorted(given.items())))
    assert read == record


def test_tensors_that_share_memory_or_need_gradients_are_saved(folder):
    """As those of a running average that is switched off, or a slice of a replay."""
    w = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    save_checkpoint(folder, {"a": w, "b": w, "c": w.T, "d": w[:, 1]}, {})
    found, _ = load_checkpoint(folder)
    assert torch.equal(found["b"], w)
    assert torch.equal(found["c"], w.T)
    assert torch.equal(found["d"], w[:, 1])


def test_what_was_loaded_can_be_written_to(folder):
    found, _ = load_checkpoint(folder)
    found["w"] += 1
    assert load_checkpoint(folder)[0]["w"].tolist() == [1.0, 1.0]


def test_a_save_that_fails_leaves_the_old_one(folder, monkeypatch):
    def full(path: Path, data: bytes) -> None:
        raise RunFolderError("no space left")

    monkeypatch.setattr(checkpoint, "atomic_write", full)
    with pytest.raises(RunFolderError, match="no space left"):
        save_checkpoint(folder, {"w": torch.zeros(2)}, {"n": 4})
    assert load_checkpoint(folder)[1] == {"n": 3}


def test_no_checkpoint_is_named(tmp_path: Path):
    with pytest.raises(RunFolderError, match="holds no checkpoint to resume from"):
        load_checkpoint(tmp_path / "checkpoint")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_a_truncated_checkpoint_is_damaged(folder, share):
    data = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(data[: int(share * len(data))])
    with pytest.raises(RunFolderError, match="is damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"record": ""}, {"record": "{"}, {"record": "[1]"}, {"record": "[" * 100_000}],
    ids=lambda metadata: str(metadata)[:30],
)
def test_a_checkpoint_without_a_record_is_damaged(folder, metadata):
    (folder / FILE).write_bytes(save({"w": torch.ones(1)}, metadata=metadata))
    with pytest.raises(RunFolderError, match="is damaged"):
        load_checkpoint(folder)
