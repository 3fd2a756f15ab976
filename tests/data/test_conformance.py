"""One list for everything that holds recorded decisions: what a learner may rely on.

Readers (shards, minari) give rows and episodes; stores (replay, shards) give random batches.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from recording import NUM_ACTIONS, Recording, label_of, record, write

from rldistill.data.minari import MinariDataset
from rldistill.data.replay import Replay
from rldistill.data.rows import Dataset
from rldistill.data.shards import ShardDataset
from rldistill.errors import DatasetError, SettingError

KINDS = ["flat", "pixels", "box"]


def recording_of(kind: str) -> Recording:
    return record(3, [7, 1, 20, 12], pixels=kind == "pixels", box=kind == "box")


def shards(recording: Recording, folder: Path) -> ShardDataset:
    return write(folder / "data", recording, 25)


def minari(recording: Recording, folder: Path) -> MinariDataset:
    """Made by minari's own means, without our export."""
    module = pytest.importorskip("minari")
    from minari.data_collector.episode_buffer import EpisodeBuffer

    buffers = [
        EpisodeBuffer(
            observations=np.stack([*episode.observations, episode.final]),
            actions=np.array(episode.actions),
            rewards=episode.rewards,
            terminations=episode.terminated,
            truncations=episode.truncated,
        )
        for _, episode in sorted(recording.episodes.items())
    ]
    kind = np.dtype(recording.meta.observation_dtype)
    low, high = (0, 255) if kind == np.uint8 else (-99, 99)
    module.create_dataset_from_buffers(
        "test-v0",
        buffers,
        observation_space=spaces.Box(low, high, recording.meta.observation_shape, kind),
        action_space=recording.meta.action_space,
    )
    return MinariDataset("test-v0")


def replay(recording: Recording, folder: Path) -> Replay:
    meta = recording.meta
    pixels = meta.observation_dtype == "uint8"
    made = Replay(
        500,
        meta.observation_shape,
        meta.head.num_outputs,
        "cpu",
        torch.uint8 if pixels else torch.float32,
        meta.action_space.shape,
    )
    for t in recording.trajectories:
        made.add(*(x.flatten(0, 1) for x in (t.observations, t.teacher_raw, t.valid, t.actions)))
    return made


@pytest.fixture(params=[shards, minari], ids=["shards", "minari"])
def reader(request: pytest.FixtureRequest) -> Callable[[Recording, Path], Dataset]:
    return request.param


@pytest.fixture(params=[shards, replay], ids=["shards", "replay"])
def store(request: pytest.FixtureRequest) -> Callable[[Recording, Path], ShardDataset | Replay]:
    return request.param


pytestmark = [
    pytest.mark.usefixtures("minari_home"),
    pytest.mark.filterwarnings("ignore:.*is set to None", "ignore:env_spec is None"),
]


@pytest.mark.parametrize("kind", KINDS)
class TestReaders:
    def test_shapes_and_types_are_those_of_the_task(self, reader, kind, tmp_path) -> None:
        dataset: Dataset = reader(recording_of(kind), tmp_path)
        meta = recording_of(kind).meta
        assert dataset.observation_shape == meta.observation_shape
        assert dataset.observation_dtype == np.dtype(meta.observation_dtype)
        assert dataset.action_space == meta.action_space
        for rows in dataset.iterate():
            size = len(rows)
            assert rows.observations.shape == (size, *meta.observation_shape)
            assert rows.observations.dtype == dataset.observation_dtype
            assert rows.actions.shape == (size, *meta.action_space.shape)
            assert rows.actions.dtype == (np.float32 if kind == "box" else np.int64)
            kinds = [x.dtype for x in (rows.rewards, rows.terminated, rows.truncated)]
            assert kinds == [np.float32, np.bool_, np.bool_]
            assert (rows.episode.dtype, rows.step.dtype) == (np.int64, np.int32)

    def test_every_row_comes_once(self, reader, kind, tmp_path) -> None:
        recording = recording_of(kind)
        dataset: Dataset = reader(recording, tmp_path)
        pieces = list(dataset.iterate())
        assert sum(map(len, pieces)) == len(dataset) == recording.num_rows
        found = sorted(float(x) for rows in pieces for x in rows.rewards)
        assert found == sorted(x for e in recording.episodes.values() for x in e.rewards)

    def test_episodes_are_the_true_ones_in_order(self, reader, kind, tmp_path) -> None:
        recording = recording_of(kind)
        episodes = list(reader(recording, tmp_path).episodes())
        assert len(episodes) == len(recording.episodes)
        for found, (_, true) in zip(episodes, sorted(recording.episodes.items()), strict=True):
            for name in ("observations", "actions", "rewards", "terminated", "truncated"):
                np.testing.assert_array_equal(getattr(found.rows, name), getattr(true, name), name)
            np.testing.assert_array_equal(found.final_observation, true.final)
            np.testing.assert_array_equal(found.rows.step, np.arange(len(true.rewards)))
            assert len(set(found.rows.episode.tolist())) == 1
            ends = found.rows.episode_ends
            np.testing.assert_array_equal(ends, np.array(true.terminated) | true.truncated)

    def test_it_reads_the_same_twice_and_gives_rows_away(self, reader, kind, tmp_path) -> None:
        """Writable arrays that torch takes without a copy, and that write nothing back."""
        dataset: Dataset = reader(recording_of(kind), tmp_path)
        first = next(dataset.iterate())
        kept = first.observations.copy()
        torch.from_numpy(first.observations).fill_(9)
        np.testing.assert_array_equal(next(dataset.iterate()).observations, kept)


@pytest.mark.parametrize(
    ("opener", "name"), [(ShardDataset, "/nowhere/data"), (MinariDataset, "nothing-v0")]
)
def test_what_is_not_there_is_named(opener: Callable[[str], Dataset], name: str) -> None:
    with pytest.raises(DatasetError, match=name):
        opener(name)


@pytest.mark.parametrize("kind", KINDS)
class TestStores:
    def test_labels_belong_to_their_observations(self, store, kind, tmp_path) -> None:
        recording = recording_of(kind)
        made = store(recording, tmp_path)
        assert len(made) == recording.num_rows
        observations, labels = made.sample(300, torch.Generator().manual_seed(0))
        assert observations.shape == (300, *recording.meta.observation_shape)
        assert str(observations.dtype) == f"torch.{recording.meta.observation_dtype}"
        assert labels.shape == (300, recording.meta.head.num_outputs)
        expected = np.stack([label_of(x) for x in observations.numpy()])
        np.testing.assert_array_equal(labels.numpy(), expected)

    def test_actions_belong_to_their_observations(self, store, kind, tmp_path) -> None:
        recording = recording_of(kind)
        made = store(recording, tmp_path)
        observations, actions = made.sample_actions(300, torch.Generator().manual_seed(0))
        assert actions.dtype == (torch.float32 if kind == "box" else torch.int64)
        taken = {
            seen.tobytes(): np.asarray(action, actions.numpy().dtype).tolist()
            for episode in recording.episodes.values()
            for seen, action in zip(episode.observations, episode.actions, strict=True)
        }
        found = zip(observations.numpy(), actions.tolist(), strict=True)
        assert all(taken[seen.tobytes()] == action for seen, action in found)

    def test_draws_are_uniform_over_the_rows(self, store, kind, tmp_path) -> None:
        """Chi-square over all rows, 200 draws each; also no phantom step is ever drawn."""
        recording = recording_of(kind)
        made = store(recording, tmp_path)
        size = 200 * recording.num_rows
        observations, _ = made.sample(size, torch.Generator().manual_seed(0))
        flat = observations.reshape(size, -1)[:, :3].double()
        keys, counts = np.unique(flat.numpy() @ [10_000, 100, 1], return_counts=True)
        true = [e.observations for e in recording.episodes.values()]
        names = [x.reshape(-1)[:3].astype(float) @ [10_000, 100, 1] for e in true for x in e]
        np.testing.assert_array_equal(keys, sorted(names))
        freedom = len(names) - 1
        assert ((counts - 200) ** 2 / 200).sum() < freedom + 5 * (2 * freedom) ** 0.5

    def test_the_same_generator_draws_the_same_batch(self, store, kind, tmp_path) -> None:
        made = store(recording_of(kind), tmp_path)
        first, again, other = (
            made.sample(50, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(first[0], again[0])
        assert torch.equal(first[1], again[1])
        assert not torch.equal(first[0], other[0])

    def test_rows_come_in_the_order_they_were_drawn(self, store, kind, tmp_path) -> None:
        """Not sorted by place, so that a part of a batch is itself a uniform batch."""
        recording = recording_of(kind)
        size = recording.num_rows
        drawn = torch.randint(size, (40,), generator=torch.Generator().manual_seed(3))
        held = torch.cat([t.observations[t.valid] for t in recording.trajectories])
        observations, _ = store(recording, tmp_path).sample(40, torch.Generator().manual_seed(3))
        assert torch.equal(observations, held[drawn])

    def test_a_batch_shares_no_memory_with_the_store(self, store, kind, tmp_path) -> None:
        made = store(recording_of(kind), tmp_path)
        observations, labels = made.sample(50, torch.Generator().manual_seed(1))
        observations.fill_(99)
        labels.fill_(99)
        again = made.sample(50, torch.Generator().manual_seed(1))
        assert not (again[0] == 99).any()
        assert not (again[1] == 99).any()

    def test_an_empty_batch_is_an_error(self, store, kind, tmp_path) -> None:
        made = store(recording_of(kind), tmp_path)
        with pytest.raises(SettingError, match="at least 1"):
            made.sample(0, torch.Generator())

    def test_nbytes_counts_the_rows(self, store, kind, tmp_path) -> None:
        recording = recording_of(kind)
        row = 16 + 4 * NUM_ACTIONS  # 4 floats or 16 pixels, and the label
        assert store(recording, tmp_path).nbytes >= recording.num_rows * row
