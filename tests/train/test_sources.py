from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from fake_envs import Fives, SeedTells
from fake_policies import always, num_asked, policy
from gymnasium import spaces

from rldistill.core import Acting, CategoricalHead, DeterministicHead, NetworkPolicy
from rldistill.data.minari import MinariDataset
from rldistill.data.minari_task import RecordedTask
from rldistill.data.rows import Episode, Rows
from rldistill.envs.spec import TaskSpec
from rldistill.errors import DatasetError, NotFiniteError
from rldistill.evaluation.scores import training_seed
from rldistill.methods.method import TEACHER
from rldistill.rollout.control import Controller, Randomness
from rldistill.train.sources import (
    DatasetSource,
    EnvironmentSource,
    dataset_task,
    open_dataset,
    recorded_info,
)

CPU = torch.device("cpu")
HEAD = CategoricalHead(3)


def seeing_teacher() -> NetworkPolicy:
    """Its raw outputs are numbers of the state, exactly."""
    return policy(lambda x: 2 * x[:, :3], HEAD)


class Recorded:
    """Ten rows a piece; row i has seen [i, i, i, i] and taken action i % 3."""

    observation_shape = (4,)
    observation_dtype = np.dtype(np.float32)

    def __init__(self, pieces: int = 4, labels: bool = False, box: bool = False) -> None:
        self.pieces, self.labels = pieces, labels
        low, high = np.float32([-1, -1]), np.float32([1, 2])
        self.action_space = spaces.Box(low, high) if box else spaces.Discrete(3)

    def __len__(self) -> int:
        return 10 * self.pieces

    def iterate(self) -> Iterator[Rows]:
        for start in range(0, len(self), 10):
            i = np.arange(start, start + 10)
            discrete = isinstance(self.action_space, spaces.Discrete)
            over = np.zeros(10, bool)
            yield Rows(
                observations=np.repeat(i[:, None], 4, 1).astype(np.float32),
                actions=i % 3 if discrete else np.stack([i, -i], -1).astype(np.float32),
                rewards=np.zeros(10, np.float32),
                terminated=over,
                truncated=over,
                episode=i * 0,
                step=i.astype(np.int32),
                teacher_raw=np.stack([i, i, -i], -1).astype(np.float32) if self.labels else None,
            )

    def episodes(self) -> Iterator[Episode]:
        raise NotImplementedError


def source_of(data: Recorded, teacher: NetworkPolicy | None = None, capacity: int = 20):
    source = DatasetSource(data, teacher, capacity, CPU)
    source.open(0)
    return source


# --- datasets -------------------------------------------------------------------------------------


def test_the_first_round_fills_the_memory_and_the_next_go_on():
    """Every row once, in order; none after the last."""
    source = source_of(Recorded(4), seeing_teacher())
    rounds = [source.next_round(10, i) for i in range(4)]
    assert [len(x.observations) for x in rounds] == [20, 10, 10, 0]
    seen = torch.cat([x.observations[:, 0] for x in rounds])
    assert seen.tolist() == list(range(40))
    assert all(bool(x.valid.all()) for x in rounds)
    assert [x.num_steps for x in rounds] == [10, 10, 10, 10]


def test_an_exhausted_dataset_gives_empty_rounds_of_the_right_shape():
    source = source_of(Recorded(1), seeing_teacher())
    source.next_round(10, 0)
    empty = source.next_round(10, 1)
    assert empty.observations.shape == (0, 4)
    assert empty.teacher_raw.shape == (0, 3)
    assert empty.valid.shape == (0,)


def test_a_teacher_labels_the_rows_anew_and_each_once():
    teacher = seeing_teacher()
    got = source_of(Recorded(2, labels=True), teacher).next_round(10, 0)
    assert torch.equal(got.teacher_raw, 2 * got.observations[:, :3])
    assert num_asked(teacher) == 20


def test_without_a_teacher_the_stored_labels_are_taken():
    got = source_of(Recorded(1, labels=True)).next_round(10, 0)
    i = got.observations[:, 0]
    assert torch.equal(got.teacher_raw, torch.stack([i, i, -i], -1))


def test_without_labels_the_recorded_action_has_all_probability():
    got = source_of(Recorded(1)).next_round(10, 0)
    expected = torch.nn.functional.one_hot(torch.arange(10) % 3, 3).float()
    assert torch.equal(got.teacher_raw.softmax(-1), expected)


def test_recorded_continuous_actions_are_a_deterministic_teacher():
    data = Recorded(1, box=True)
    got = source_of(data).next_round(10, 0)
    i = torch.arange(10.0)
    assert torch.equal(got.teacher_raw, torch.stack([i, -i], -1))
    info = recorded_info(data, "minari:x")
    assert info.head == DeterministicHead((-1.0, -1.0), (1.0, 2.0))
    assert info.name == "recorded actions"
    assert "minari:x" in info.notes[0]


def test_opening_again_starts_from_the_first_row():
    source = source_of(Recorded(4))
    source.next_round(10, 0)
    source.open(3)
    assert source.next_round(10, 3).observations[:, 0].tolist() == list(range(10))


def test_a_teacher_that_gives_nan_on_the_rows_is_named():
    source = source_of(Recorded(1), always([np.nan, 0.0, 0.0], HEAD))
    with pytest.raises(NotFiniteError, match="gave NaN or infinite outputs"):
        source.next_round(10, 0)


def test_stored_labels_that_are_nan_are_named():
    source = source_of(Recorded(1, labels=True))
    piece = next(source.dataset.iterate())
    piece.teacher_raw[3, 1] = np.nan
    source._pieces = iter([piece])
    with pytest.raises(NotFiniteError, match="the dataset's labels hold NaN"):
        source.next_round(10, 0)


def test_a_dataset_that_does_not_say_its_task_has_none():
    assert dataset_task(Recorded()) is None


def test_the_task_of_a_minari_dataset_keeps_its_arguments():
    """Pendulum with another gravity is another task."""
    dataset = MinariDataset.__new__(MinariDataset)
    dataset.task = RecordedTask("Pendulum-v1", {"g": 3.0})
    assert dataset_task(dataset) == TaskSpec(id="Pendulum-v1", env_kwargs={"g": 3.0})
    dataset.task = RecordedTask(unknown="it names no environment")
    assert dataset_task(dataset) is None


def test_a_missing_dataset_is_named(tmp_path: Path):
    with pytest.raises(DatasetError, match="not a dataset"):
        open_dataset(tmp_path / "nowhere")
    pytest.importorskip("minari")
    with pytest.raises(DatasetError, match="no-such-dataset"):
        open_dataset("minari:no-such-dataset-v0")


# --- environments ---------------------------------------------------------------------------------


def environments(seed: int, env=SeedTells, task: TaskSpec | None = None) -> EnvironmentSource:
    student = always([0.0] * 3, HEAD)
    actor = Controller(
        TEACHER, seeing_teacher(), student, Acting(), spaces.Discrete(3),
        Randomness.seeded(seed, CPU),
    )  # fmt: skip
    return EnvironmentSource(task or TaskSpec(factory=env), 3, seed, actor, CPU)


def test_rounds_are_flat_and_their_phantom_steps_marked():
    source = environments(0, Fives)
    with source.open(0):
        got = source.next_round(36, 0)
    assert got.observations.shape == (36, 4)
    assert got.teacher_raw.shape == (36, 3)
    assert got.num_steps == int(got.valid.sum()) == 30
    assert torch.equal(got.teacher_raw, 2 * got.observations[:, :3])


def test_environments_get_the_training_seeds_of_the_round_they_are_opened_in():
    """So that a resumed run does not play the episodes of its beginning again."""
    for round_index in (0, 5):
        source = environments(3)
        with source.open(round_index):
            first = source.next_round(3, round_index).observations
        start = training_seed(3, round_index)
        assert first[:, 0].tolist() == [(start + i) % 7 for i in range(3)]
    assert training_seed(3, 0) != training_seed(3, 5)


def test_rounds_go_on_within_one_opening():
    source = environments(0, Fives)
    with source.open(0):
        source.next_round(6, 0)
        assert source.next_round(3, 1).observations[:, 1].tolist() == [2, 2, 2]


def test_a_live_vector_environment_starts_anew_each_round():
    """Tests were played in it in between."""
    live = gymnasium.vector.SyncVectorEnv([Fives] * 3)
    source = environments(0, task=TaskSpec(vector_env=live))
    with source.open(0):
        source.next_round(6, 0)
        assert source.next_round(3, 1).observations[:, 1].tolist() == [0, 0, 0]
    live.close()
