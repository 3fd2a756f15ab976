"""Evidence on disk: what is read is what was written, and no stranger's file is believed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_evidence import made_evidence
from safetensors import safe_open
from safetensors.numpy import save_file

from rldistill.core import SquashedGaussianHead
from rldistill.errors import RunFolderError
from rldistill.evaluation.evidence import Episodes, States
from rldistill.evaluation.evidence_file import MAX_BYTES, load_evidence, save_evidence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_evidence(tmp_path / "evidence.safetensors", made_evidence())
    return tmp_path / "evidence.safetensors"


def test_what_is_read_is_what_was_written(path: Path) -> None:
    before, after = made_evidence(), load_evidence(path)
    assert after is not None
    for kind, name in ((States, "states"), (Episodes, "episodes")):
        for part in kind.__slots__:
            one, other = (getattr(getattr(x, name), part) for x in (before, after))
            assert np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f"), part
    plain = ("task", "backend", "teacher_head", "temperatures", "feature_names", "action_names")
    for name in (*plain, "student_head", "teacher_cost", "student_cost"):
        assert getattr(before, name) == getattr(after, name)


def test_a_run_without_evidence_has_none(tmp_path: Path) -> None:
    assert load_evidence(tmp_path / "evidence.safetensors") is None


def rewrite(path: Path, arrays: dict[str, Any], record: dict[str, Any]) -> None:
    with safe_open(path, framework="numpy") as file:
        had = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        saved = json.loads(file.metadata()["record"])
    kept = {name: x for name, x in (had | arrays).items() if x is not None}
    save_file(kept, path, metadata={"record": json.dumps(saved | record)})


N = len(made_evidence().states)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"returns": None}, "returns"),
        ({"returns": np.zeros((3, 5))}, "returns must be float64"),
        ({"returns": np.full((3, 40), np.nan)}, "returns must be finite"),
        ({"returns": np.full((3, 40), 1e200)}, "returns must be finite"),
        ({"returns": np.zeros((3, 40), np.float32)}, "returns must be float64"),
        ({"lengths": np.full((3, 40), -1)}, "lengths at least 0"),
        ({"seeds": np.zeros(0, np.int64)}, "no episodes"),
        ({"visitor": np.full(N, 7)}, "visitor must be 0 or 1"),
        ({"visitor": np.zeros((N, 1), np.int64)}, "visitor must be int64"),
        ({"episode": np.zeros(N + 1, np.int64)}, "episode must be"),
        ({"features": np.full((N, 2), np.inf, np.float32)}, "features must be finite"),
        ({"features": np.zeros((N, 3), np.float32)}, "feature_names must be one per number"),
        ({"teacher_raw": np.zeros((N, 9), np.float32)}, "teacher_raw must be"),
        ({"student_raw": np.full((N, 3), np.nan, np.float32)}, "student_raw must be numbers"),
        ({"kl": np.full(N, np.inf, np.float32)}, "kl must not be infinite"),
        ({"kl": np.full(N, -1.0, np.float32)}, "nor below 0"),
        ({"observations": np.zeros((N, 2))}, "observations must be float32"),
        ({"observations": np.zeros((N + 1, 2), np.float32)}, "observations must be"),
        ({"observations": np.zeros((1, 2), np.float32)}, "for every state"),
    ],
)
def test_arrays_of_a_stranger_are_checked(path: Path, arrays: dict[str, Any], message: str) -> None:
    rewrite(path, arrays, {})
    with pytest.raises(RunFolderError, match=message):
        load_evidence(path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"task": 3}, "task must be"),
        ({"task": "x" * 500}, "task must be"),
        ({"task": "two\nlines"}, "plain text"),
        ({"paired": "yes"}, "paired"),
        ({"teacher_head": {"kind": "categorical", "num_actions": 10**9}}, "num_actions"),
        ({"temperatures": [1.0]}, "temperatures"),
        ({"temperatures": [0.0, 1.0]}, "temperatures"),
        ({"temperatures": ["a", 1.0]}, "damaged"),
        ({"feature_names": "names"}, "feature_names"),
        ({"feature_names": [["a"] * 5, ["b"]]}, "damaged"),
        ({"action_names": ["a"]}, "action_names must be 3"),
        ({"teacher_cost": {"parameters": -1}}, "teacher_cost"),
        ({"student_cost": None}, "student_cost"),
    ],
)
def test_the_record_of_a_stranger_is_checked(
    path: Path, record: dict[str, Any], message: str
) -> None:
    rewrite(path, {}, record)
    with pytest.raises(RunFolderError, match=message):
        load_evidence(path)


def test_no_file_of_another_kind_is_read(path: Path) -> None:
    """Torn, empty, a pickle in disguise, too large, a folder: each says so."""
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", np.array([object()], object).dumps()):
        path.write_bytes(damaged)
        with pytest.raises(RunFolderError, match="damaged"):
            load_evidence(path)
    path.write_bytes(b"\0" * (MAX_BYTES + 1))
    with pytest.raises(RunFolderError, match="too large"):
        load_evidence(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RunFolderError, match="no plain file"):
        load_evidence(path)


def test_too_much_is_not_written(tmp_path: Path) -> None:
    """The run says that no evidence was kept; it does not fill the disk."""
    large = made_evidence(states=60_000)
    with pytest.raises(RunFolderError, match="at most"):
        save_evidence(tmp_path / "evidence.safetensors", large)
    assert list(tmp_path.iterdir()) == []


def test_continuous_actions_have_a_name_per_component(tmp_path: Path) -> None:
    head = SquashedGaussianHead((-1.0, -2.0), (1.0, 2.0))
    saved = made_evidence(head=head)
    save_evidence(tmp_path / "e", saved)
    found = load_evidence(tmp_path / "e")
    assert found is not None
    assert found.teacher_head == head
    assert not found.is_discrete
