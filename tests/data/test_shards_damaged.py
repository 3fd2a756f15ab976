"""Damaged and hostile datasets: each is refused by name, and none runs code or hangs."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from recording import Recording, write

from rldistill.data.shards import ShardDataset
from rldistill.errors import DatasetError, NotFiniteError


def header(descr: str, shape: str, fortran: str = "False") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def object_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}] * 16, object), allow_pickle=True)
    return file.getvalue()


ZEROS = b"\0" * (16 * 4 * 4)
DAMAGES = {
    "empty": b"",
    "not npy": b"hello" * 100,
    "object dtype": object_array(),
    "object header": header("'|O'", "(16, 4)") + ZEROS,
    "wrong dtype": header("'<f8'", "(16, 4)") + ZEROS * 2,
    "big endian": header("'>f4'", "(16, 4)") + ZEROS,
    "wrong shape": header("'<f4'", "(4, 16)") + ZEROS,
    "absurd shape": header("'<f4'", "(999999999999, 4)") + ZEROS,
    "negative shape": header("'<f4'", "(-16, -4)") + ZEROS,
    "fortran order": header("'<f4'", "(16, 4)", "True") + ZEROS,
    "code in the header": header("__import__('os')", "(16, 4)") + ZEROS,
    "deep header": b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 0x2000 + ZEROS,
    "truncated": header("'<f4'", "(16, 4)") + ZEROS[:-1],
    "too long": header("'<f4'", "(16, 4)") + ZEROS + b"\0",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_column_is_named(tmp_path: Path, recording: Recording, name: str) -> None:
    dataset = write(tmp_path / "data", recording)
    path = dataset.folder / "shard-00001" / "observations.npy"
    path.write_bytes(DAMAGES[name])
    with pytest.raises(DatasetError, match=r"shard-00001.observations\.npy is damaged"):
        ShardDataset(dataset.folder)


def test_the_damage_test_would_accept_a_good_file(tmp_path: Path, recording: Recording) -> None:
    dataset = write(tmp_path / "data", recording)
    path = dataset.folder / "shard-00001" / "observations.npy"
    path.write_bytes(header("'<f4'", "(16, 4)") + ZEROS)
    ShardDataset(dataset.folder)


def test_a_missing_column_or_one_outside_the_folder_is_named(
    tmp_path: Path, recording: Recording
) -> None:
    dataset = write(tmp_path / "data", recording)
    path = dataset.folder / "shard-00000" / "rewards.npy"
    path.rename(tmp_path / "secret.npy")
    with pytest.raises(DatasetError, match=r"rewards\.npy is missing"):
        ShardDataset(dataset.folder)
    path.symlink_to(tmp_path / "secret.npy")
    with pytest.raises(DatasetError, match="leads out of the dataset"):
        ShardDataset(dataset.folder)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatasetError, match="missing"):
        ShardDataset(dataset.folder)


MANIFEST_CHANGES = {
    "format": "theirs", "format_version": 99, "task_id": 3, "env_kwargs": [], "seed": 1.5,
    "observation_shape": [], "observation_dtype": "object", "head": {"kind": "os.system"},
    "rows": 1, "complete": "yes", "shards": [{"rows": -1, "finals": 0}], "versions": None,
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFEST_CHANGES)
def test_a_hostile_description_is_refused(tmp_path: Path, recording: Recording, name: str) -> None:
    dataset = write(tmp_path / "data", recording)
    path = dataset.folder / "dataset.json"
    good = json.loads(path.read_text())
    for change in (
        {**good, name: MANIFEST_CHANGES[name]},
        {k: v for k, v in good.items() if k != name},
    ):
        path.write_text(json.dumps(change))
        with pytest.raises(DatasetError, match="dataset"):
            ShardDataset(dataset.folder)


@pytest.mark.parametrize(
    "head",
    [{"kind": "CategoricalHead"}, {"kind": "CategoricalHead", "num_actions": 10**9},
     {"kind": "GaussianHead", "low": [0], "high": []},
     {"kind": "GaussianHead", "low": 1, "high": 2},
     {"kind": "GaussianHead", "low": [2], "high": [1]}, {"kind": ["a"]}],
)  # fmt: skip
def test_a_hostile_head_is_refused(tmp_path: Path, recording: Recording, head: dict) -> None:
    dataset = write(tmp_path / "data", recording)
    path = dataset.folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "head": head}))
    with pytest.raises(DatasetError, match="damaged"):
        ShardDataset(dataset.folder)


def test_absurd_json_is_refused(tmp_path: Path) -> None:
    for text in ("", "[" * 100_000, "{}", "[]", "null"):
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(DatasetError):
            ShardDataset(tmp_path)


def test_poison_on_the_disk_is_found_when_drawn(tmp_path: Path, recording: Recording) -> None:
    """Values are not read when the dataset is opened, so they are checked when they are used."""
    folder = write(tmp_path / "data", recording, None).folder / "shard-00000"
    for name, value, error in (
        ("observations", np.inf, NotFiniteError),
        ("teacher_raw", np.nan, NotFiniteError),
        ("actions", 4, DatasetError),
        ("actions", -1, DatasetError),
    ):
        good = np.load(folder / f"{name}.npy")
        np.save(folder / f"{name}.npy", np.full_like(good, value))
        draw = (
            ShardDataset(folder.parent).sample_actions
            if name == "actions"
            else ShardDataset(folder.parent).sample
        )
        with pytest.raises(error):
            draw(8, torch.Generator())
        np.save(folder / f"{name}.npy", good)


def test_a_step_that_is_missing_is_found(tmp_path: Path, recording: Recording) -> None:
    dataset = write(tmp_path / "data", recording, None)
    path = dataset.folder / "shard-00000" / "step.npy"
    np.save(path, np.load(path) + np.int32(1))
    with pytest.raises(DatasetError, match="misses a step"):
        list(ShardDataset(dataset.folder).episodes())
