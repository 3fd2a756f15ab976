"""Shards on disk: the record is exact, interruptions lose only what was not yet written."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from recording import Recording, meta_of, record, write

from rldistill.core import DeterministicHead, QValueHead, SquashedGaussianHead
from rldistill.data import shard_writer
from rldistill.data.manifest import read_manifest
from rldistill.data.shard_writer import ShardWriter
from rldistill.data.shards import ShardDataset
from rldistill.errors import DatasetError, NotFiniteError, RunFolderError, ShapeError


@pytest.mark.parametrize("rows_per_shard", [7, 1000, None])
@pytest.mark.parametrize("kind", ["flat", "pixels", "box"])
def test_every_episode_comes_back_whole(tmp_path: Path, kind: str, rows_per_shard: int) -> None:
    """Whatever the shard size, against the record kept step by step."""
    recording = record(3, [7, 1, 20, 12], pixels=kind == "pixels", box=kind == "box")
    dataset = write(tmp_path / "data", recording, rows_per_shard)
    episodes = list(dataset.episodes())
    assert [int(e.rows.episode[0]) for e in episodes] == sorted(recording.episodes)
    for found in episodes:
        true = recording.episodes[int(found.rows.episode[0])]
        for name in ("observations", "actions", "rewards", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(found.rows, name), getattr(true, name), name)
        np.testing.assert_array_equal(found.rows.teacher_raw, true.teacher_raw)
        np.testing.assert_array_equal(found.final_observation, true.final)


def test_shards_of_one_row_lose_no_end_of_an_episode(tmp_path: Path) -> None:
    recording = record(2, [4, 1, 1])
    episodes = list(write(tmp_path / "data", recording, 1).episodes())
    assert len(episodes) == len(recording.episodes) > 3
    assert sum(shard.finals for shard in ShardDataset(tmp_path / "data").shards) == len(episodes)
    for found in episodes:
        true = recording.episodes[int(found.rows.episode[0])]
        np.testing.assert_array_equal(found.final_observation, true.final)


def test_rows_lie_in_the_order_of_collection(tmp_path: Path, recording: Recording) -> None:
    dataset = write(tmp_path / "data", recording)
    expected = torch.cat([t.observations[t.valid] for t in recording.trajectories])
    found = np.concatenate([rows.observations for rows in dataset.iterate()])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "head",
    [meta_of().head, meta_of(box=True).head, QValueHead(3), DeterministicHead((-1.5,), (2.5,)),
     SquashedGaussianHead((-1.0, 0.0), (1.0, 4.0))],
)  # fmt: skip
def test_the_description_round_trips(tmp_path: Path, head: object) -> None:
    """Infinite bounds too, which JSON cannot hold."""
    import dataclasses

    meta = dataclasses.replace(meta_of(), head=head)
    with ShardWriter(tmp_path / "data", meta):
        pass
    assert read_manifest(tmp_path / "data")[0] == meta


def test_a_dataset_says_whether_it_was_finished(tmp_path: Path, recording: Recording) -> None:
    writer = ShardWriter(tmp_path / "data", recording.meta, rows_per_shard=16)
    for trajectory in recording.trajectories:
        writer.add(trajectory)
    before = ShardDataset(tmp_path / "data")
    assert not before.complete
    assert len(before) == writer.num_rows // 16 * 16
    writer.close()
    writer.close()
    assert ShardDataset(tmp_path / "data").complete
    assert len(ShardDataset(tmp_path / "data")) == recording.num_rows


def test_an_interrupted_collection_keeps_what_it_has(tmp_path: Path, recording: Recording) -> None:

    def collect() -> None:
        with ShardWriter(tmp_path / "data", recording.meta, rows_per_shard=16) as writer:
            writer.add(recording.trajectories[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect()
    assert len(ShardDataset(tmp_path / "data")) == int(recording.trajectories[0].valid.sum())


def test_a_full_disk_keeps_the_whole_shards(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error tells what to do; afterwards nothing half written is left, and nothing hangs."""
    calls = 0
    write_column = shard_writer._write_column

    def fill_up(path: Path, column: np.ndarray) -> None:
        nonlocal calls
        calls += 1
        if calls > 14:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "full")
        write_column(path, column)

    monkeypatch.setattr(shard_writer, "_write_column", fill_up)
    with pytest.raises(DatasetError, match="no space left"):
        write(tmp_path / "data", recording)
    dataset = ShardDataset(tmp_path / "data")
    assert len(dataset) == 16
    assert not dataset.complete
    assert {p.name for p in dataset.folder.iterdir()} == {"dataset.json", "shard-00000", ".lock"}


def test_no_space_is_told_as_such_by_the_real_system(tmp_path: Path) -> None:
    """numpy's own writer would lose the reason."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        shard_writer._write_column(tmp_path / "full", np.zeros(100_000))


COLLECT = """
import sys
sys.path.insert(0, sys.argv[2])
from recording import record
from rldistill.data.shard_writer import ShardWriter
recording = record(3, [7, 1, 20, 12])
with ShardWriter(sys.argv[1], recording.meta, force=True, rows_per_shard=30) as writer:
    while True:
        for trajectory in recording.trajectories:
            writer.add(trajectory)
        print(writer.num_rows, flush=True)
"""


def test_a_dataset_killed_while_written_stays_readable(tmp_path: Path) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", COLLECT, str(tmp_path / "data"), str(here)]
    environment = {**os.environ, "PYTHONPATH": str(here.parents[1] / "src")}
    for pause in (0.0, 0.02):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            assert int(process.stdout.readline()) == record(3, [7, 1, 20, 12]).num_rows
            with pytest.raises(RunFolderError, match="in use"):
                ShardWriter(tmp_path / "data", meta_of(), force=True)
            time.sleep(pause)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        dataset = ShardDataset(tmp_path / "data")
        assert len(dataset) >= 90 - 30
        assert len(dataset) % 30 == 0
        assert sum(len(rows) for rows in dataset.iterate()) == len(dataset)


# --- the folder -----------------------------------------------------------------------------------


def test_a_dataset_is_replaced_only_with_force(tmp_path: Path, recording: Recording) -> None:
    write(tmp_path / "data", recording, 5)
    (tmp_path / "data" / "my-shard-notes").touch()
    with pytest.raises(DatasetError, match=r"already holds a dataset.*--force"):
        ShardWriter(tmp_path / "data", recording.meta)
    with ShardWriter(tmp_path / "data", recording.meta, force=True) as writer:
        writer.add(recording.trajectories[0])
    assert len(ShardDataset(tmp_path / "data").shards) == 1
    assert not (tmp_path / "data" / "shard-00001").exists()
    assert (tmp_path / "data" / "my-shard-notes").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_foreign_folder_is_never_touched(tmp_path: Path, force: bool) -> None:
    (tmp_path / "shard-00000").mkdir()
    with pytest.raises(DatasetError, match="is not a dataset"):
        ShardWriter(tmp_path, meta_of(), force=force)
    (tmp_path / "dataset.json").write_text('{"format": "theirs"}')
    with pytest.raises(DatasetError, match="not the description"):
        ShardWriter(tmp_path, meta_of(), force=force)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset.json", "shard-00000"]


def test_what_does_not_fit_the_description_is_refused(tmp_path: Path, recording: Recording) -> None:
    import dataclasses

    good = recording.trajectories[0]
    with ShardWriter(tmp_path / "data", recording.meta) as writer:
        for change in (
            {"observations": good.observations[..., :3]},
            {"actions": good.actions.float()},
            {"rewards": good.rewards.double()},
            {"teacher_raw": good.teacher_raw[:1]},
            {"valid": good.valid[0]},
        ):
            with pytest.raises(ShapeError, match="dataset: "):
                writer.add(dataclasses.replace(good, **change))
        writer.add(good)
        with pytest.raises(ShapeError, match="B as in the first"):
            writer.add(record(2, [4]).trajectories[0])
    assert len(ShardDataset(tmp_path / "data")) == int(good.valid.sum())


@pytest.mark.parametrize("name", ["observations", "rewards", "teacher_raw"])
def test_nan_never_enters_a_dataset(tmp_path: Path, recording: Recording, name: str) -> None:
    trajectory = recording.trajectories[0]
    getattr(trajectory, name)[0, 1] = torch.nan
    with (
        pytest.raises(NotFiniteError, match=name),
        ShardWriter(tmp_path / "data", recording.meta) as writer,
    ):
        writer.add(trajectory)


def test_an_action_that_the_teacher_never_takes_is_a_legal_label(
    tmp_path: Path, recording: Recording
) -> None:
    recording.trajectories[0].teacher_raw[0, 0, 2] = -torch.inf
    dataset = write(tmp_path / "data", recording)
    labels = torch.cat([dataset.sample(500, torch.Generator())[1]])
    assert (labels == -torch.inf).any()


def test_a_dataset_can_be_moved_and_is_plain_numpy(tmp_path: Path, recording: Recording) -> None:
    write(tmp_path / "data", recording)
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    assert len(ShardDataset(tmp_path / "elsewhere")) == recording.num_rows
    column = np.load(tmp_path / "elsewhere" / "shard-00000" / "rewards.npy", allow_pickle=False)
    assert column.dtype == np.float32


def test_shards_of_pixels_are_bounded_in_bytes(tmp_path: Path) -> None:
    import dataclasses

    meta = dataclasses.replace(meta_of(pixels=True), observation_shape=(84, 84, 4))
    with ShardWriter(tmp_path / "data", meta) as writer:
        size = len(writer._rows["observations"]) * 84 * 84 * 4
    assert 2**26 < size <= shard_writer.BYTES_PER_SHARD


def test_after_a_failed_write_nothing_more_is_taken(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are missing by then: what followed would be glued to the wrong episode."""
    writer = ShardWriter(tmp_path / "data", recording.meta, rows_per_shard=16)

    def fail(path: Path, column: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(shard_writer, "_write_column", fail)
        with pytest.raises(DatasetError, match="no space left"):
            writer.add(recording.trajectories[0])
    with pytest.raises(DatasetError, match="an earlier write failed"):
        writer.add(recording.trajectories[1])
    writer.close()
    assert not read_manifest(tmp_path / "data")[2]
