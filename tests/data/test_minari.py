"""Minari: ours goes out without loss, and what others made comes in flat, in gymnasium's order."""

import json
import shutil
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from recording import record, write

from rldistill.data import minari as ours_to_theirs
from rldistill.data.minari import MinariDataset, export_minari
from rldistill.data.minari_task import RecordedTask
from rldistill.data.shard_writer import ShardWriter
from rldistill.data.shards import ShardDataset
from rldistill.errors import DatasetError, MissingExtraError, NotFiniteError

minari = pytest.importorskip("minari")
from minari.data_collector.episode_buffer import EpisodeBuffer  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("minari_home"),
    pytest.mark.filterwarnings("ignore:.*is set to None", "ignore:env_spec is None"),
]


def stack(samples: list[Any]) -> Any:
    """Samples of a space side by side, nested as minari wants them."""
    if isinstance(samples[0], dict):
        return {key: stack([sample[key] for sample in samples]) for key in samples[0]}
    if isinstance(samples[0], tuple):
        return tuple(stack(list(parts)) for parts in zip(*samples, strict=True))
    return samples if isinstance(samples[0], str) else np.stack(samples)


def make(
    name: str,
    space: spaces.Space,
    action_space: spaces.Space,
    lengths: tuple[int, ...] = (3, 1, 4),
    env_spec: Any = None,
    **overrides: Any,
) -> tuple[list[list[Any]], list[list[Any]]]:
    """A dataset as others make them, of random samples; returns observations and actions."""
    space.seed(0)
    action_space.seed(1)
    seen = [[space.sample() for _ in range(size + 1)] for size in lengths]
    done = [[action_space.sample() for _ in range(size)] for size in lengths]
    buffers = []
    for observations, actions in zip(seen, done, strict=True):
        size = len(actions)
        columns = {
            "observations": stack(observations),
            "actions": stack(actions),
            "rewards": np.arange(size, dtype=np.float64),
            "terminations": np.arange(size) == size - 1,
            "truncations": np.zeros(size, np.bool_),
        }
        buffers.append(EpisodeBuffer(**{**columns, **overrides}))
    minari.create_dataset_from_buffers(
        name, buffers, env_spec, observation_space=space, action_space=action_space
    )
    return seen, done


@pytest.mark.parametrize("kind", ["flat", "pixels", "box"])
def test_our_export_comes_back_as_it_was(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several batches, the last one not full."""
    monkeypatch.setattr(ours_to_theirs, "_EPISODES_AT_ONCE", 4)
    recording = record(3, [9, 8], pixels=kind == "pixels", box=kind == "box")
    ours = write(tmp_path / "data", recording)
    count = export_minari(ours, "rldistill/cartpole-v0")
    theirs = MinariDataset("rldistill/cartpole-v0")
    assert count == len(recording.episodes) > 8
    assert len(theirs) == recording.num_rows
    assert theirs.action_space == ours.action_space
    for true, found in zip(ours.episodes(), theirs.episodes(), strict=True):
        for name in ("observations", "actions", "rewards", "terminated", "step"):
            np.testing.assert_array_equal(getattr(found.rows, name), getattr(true.rows, name))
        np.testing.assert_array_equal(found.final_observation, true.final_observation)
        assert found.rows.episode_ends[-1]
        assert not found.rows.episode_ends[:-1].any()


def test_our_export_is_described_and_names_its_task(tmp_path: Path) -> None:
    export_minari(write(tmp_path / "data", record(2, [9])), "ours-v0")
    dataset = minari.load_dataset("ours-v0")
    metadata = dataset.storage.metadata
    assert "teacher_fingerprint" in metadata["description"]
    assert metadata["algorithm_name"] == "PPO"
    environment = dataset.recover_environment(eval_env=True)
    assert environment.spec.id == "CartPole-v1"
    assert environment.spec.kwargs["sutton_barto_reward"] is True
    environment.close()
    assert MinariDataset("ours-v0").task == RecordedTask(
        "CartPole-v1", {"sutton_barto_reward": True}
    )
    assert "sutton_barto_reward" not in gymnasium.spec("CartPole-v1").kwargs


def test_the_task_of_others_keeps_its_arguments() -> None:
    spec = gymnasium.make("Pendulum-v1", g=3.0, render_mode="rgb_array").spec
    make("theirs-v0", spaces.Box(-1, 1, (3,)), spaces.Box(-2, 2, (1,)), env_spec=spec)
    assert MinariDataset("theirs-v0").task == RecordedTask("Pendulum-v1", {"g": 3.0})


def test_an_interrupted_collection_is_exported_up_to_its_last_known_observation(
    tmp_path: Path,
) -> None:
    recording = record(3, [9])
    writer = ShardWriter(tmp_path / "data", recording.meta, rows_per_shard=5)
    writer.add(recording.trajectories[0])
    ours = ShardDataset(tmp_path / "data")  # as after kill -9: no last observations
    export_minari(ours, "ours-v0")
    writer.close()
    found = [len(episode.rows) for episode in MinariDataset("ours-v0").episodes()]
    cut = [episode.final_observation is None for episode in ours.episodes()]
    sizes = [len(episode.rows) for episode in ours.episodes()]
    assert any(cut)
    assert found == [size - off for size, off in zip(sizes, cut, strict=True) if size > off]


def test_large_images_are_exported_without_loss(tmp_path: Path) -> None:
    """minari's default for images is JPEG."""
    import dataclasses

    import torch

    recording = record(1, [4], pixels=True)
    recording.meta = dataclasses.replace(recording.meta, observation_shape=(40, 40, 3))
    frames = torch.randint(0, 256, (5, 1, 40, 40, 3), dtype=torch.uint8)
    recording.trajectories[0] = dataclasses.replace(
        recording.trajectories[0], observations=frames[:4], last_observations=frames[4]
    )
    export_minari(write(tmp_path / "data", recording), "pixels-v0")
    theirs = MinariDataset("pixels-v0")
    assert theirs.observation_shape == (40, 40, 3)
    np.testing.assert_array_equal(next(theirs.episodes()).rows.observations[0], frames[0, 0])


def test_a_taken_or_malformed_name_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    ours = write(tmp_path / "data", record(2, [9]))
    export_minari(ours, "ours-v0")
    with pytest.raises(DatasetError, match="exists already"):
        export_minari(ours, "ours-v0")
    assert len(MinariDataset("ours-v0")) == len(ours)
    for name in ("ours", "../ours-v0", "/etc/ours-v0", "", "a b-v0"):
        with pytest.raises(DatasetError, match="not a name of a Minari dataset"):
            export_minari(ours, name)


def test_a_failed_export_leaves_nothing(
    tmp_path: Path, minari_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = write(tmp_path / "data", record(3, [9, 8]))
    monkeypatch.setattr(ours_to_theirs, "_EPISODES_AT_ONCE", 4)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(minari.MinariDataset, "update_dataset_from_buffer", fail)
    with pytest.raises(DatasetError, match="No space left"):
        export_minari(ours, "ours-v0")
    assert not (minari_home / "ours-v0").exists()


SPACES = {
    "box": spaces.Box(-1, 1, (2, 3), np.float64),
    "scalar": spaces.Box(-1, 1, (), np.float32),
    "bytes": spaces.Box(0, 255, (5,), np.uint8),
    "discrete": spaces.Discrete(4, start=-1),
    "binary": spaces.MultiBinary((2, 2)),
    "many": spaces.MultiDiscrete([2, 3]),
    "goal": spaces.Dict(
        {"observation": spaces.Box(-1, 1, (3,)), "achieved": spaces.Box(-9, 9, (2,), np.float64)}
    ),
    "unsorted": spaces.Dict(
        OrderedDict([("z", spaces.Box(-1, 1, (2,))), ("a", spaces.Box(5, 6, (1,)))])
    ),
    "nested": spaces.Dict(
        {
            "inner": spaces.Tuple([spaces.Discrete(3), spaces.Dict({"b": spaces.Box(0, 1, (2,))})]),
            "image": spaces.Box(0, 255, (2, 2, 3), np.uint8),
            "text": spaces.Text(5, min_length=5, charset="abc"),
        }
    ),
}


@pytest.mark.parametrize("kind", SPACES)
def test_observations_are_flat_in_the_order_of_gymnasium(kind: str) -> None:
    """Row for row what gymnasium.spaces.flatten gives for the environment's own space."""
    space = SPACES[kind]
    seen, _ = make("theirs-v0", space, spaces.Discrete(2))
    dataset = MinariDataset("theirs-v0")
    assert dataset.observation_shape == (spaces.flatdim(space),)
    for found, true in zip(dataset.episodes(), seen, strict=True):
        flat = np.stack([np.float32(spaces.flatten(space, sample)) for sample in true])
        np.testing.assert_array_equal(found.rows.observations, flat[:-1])
        np.testing.assert_array_equal(found.final_observation, flat[-1])
        assert found.rows.observations.dtype == np.float32


def test_small_images_stay_as_they_are() -> None:
    seen, _ = make("theirs-v0", spaces.Box(0, 255, (4, 4, 3), np.uint8), spaces.Discrete(2))
    dataset = MinariDataset("theirs-v0")
    assert (dataset.observation_dtype, dataset.observation_shape) == (np.uint8, (4, 4, 3))
    np.testing.assert_array_equal(next(dataset.episodes()).rows.observations, seen[0][:-1])


def test_actions_start_at_zero_or_are_flat() -> None:
    _, done = make("theirs-v0", spaces.Box(-1, 1, (2,)), spaces.Discrete(3, start=5))
    dataset = MinariDataset("theirs-v0")
    assert dataset.action_space == spaces.Discrete(3)
    np.testing.assert_array_equal(next(dataset.iterate()).actions, np.array(done[0]) - 5)
    _, done = make("box-v0", spaces.Box(-1, 1, (2,)), spaces.Box(-2, 3, (2, 2), np.float64))
    dataset = MinariDataset("box-v0")
    assert dataset.action_space == spaces.Box(-2, 3, (4,))
    expected = np.float32(done[0]).reshape(3, 4)
    np.testing.assert_array_equal(next(dataset.iterate()).actions, expected)


def test_a_collector_of_minaris_own_is_read() -> None:
    """minari's DataCollector on a real environment; it needs jax."""
    pytest.importorskip("jax")
    env = minari.DataCollector(gymnasium.make("CartPole-v1"))
    returns = []
    for seed in range(3):
        env.reset(seed=seed)
        returns.append(0.0)
        ended = False
        while not ended:
            _, reward, terminated, truncated, _ = env.step(seed % 2)
            returns[-1] += float(reward)
            ended = terminated or truncated
    env.create_dataset("cartpole/theirs-v0")
    env.close()
    dataset = MinariDataset("cartpole/theirs-v0")
    assert dataset.task.id == "CartPole-v1"
    assert [episode.rows.rewards.sum() for episode in dataset.episodes()] == returns


# --- bad input ------------------------------------------------------------------------------------


def test_an_unknown_name_proposes_near_ones_and_how_to_fetch_it() -> None:
    make("D4RL/pen/human-v2", spaces.Box(-1, 1, (2,)), spaces.Discrete(2))
    message = r"Did you mean D4RL/pen/human-v2\?.*minari download D4RL/pen/humans-v2"
    with pytest.raises(DatasetError, match=message):
        MinariDataset("D4RL/pen/humans-v2")


def test_without_minari_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("minari", "h5py"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(MissingExtraError, match=r'pip install "rldistill\[minari\]"'):
                MinariDataset("theirs-v0")


@pytest.mark.parametrize(
    "space", [spaces.MultiDiscrete([2, 2]), spaces.Dict({"a": spaces.Discrete(2)})]
)
def test_actions_without_a_flat_form_are_refused(space: spaces.Space) -> None:
    make("theirs-v0", spaces.Box(-1, 1, (2,)), space)
    with pytest.raises(DatasetError, match="must be Discrete or Box"):
        MinariDataset("theirs-v0")


def test_a_space_is_never_asked_of_an_environment(minari_home: Path) -> None:
    """minari would make one, and so import whatever module the dataset names."""
    make("theirs-v0", spaces.Box(-1, 1, (2,)), spaces.Discrete(2))
    path = minari_home / "theirs-v0" / "data" / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["observation_space"]
    spec = gymnasium.spec("CartPole-v1").to_json().replace("gymnasium.envs", "this_module_is_evil")
    path.write_text(json.dumps({**metadata, "env_spec": spec}))
    with pytest.raises(DatasetError, match="observation_space"):
        MinariDataset("theirs-v0")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"observation_space": 3, "action_space": "{}"}', "[" * 100_000]
)
def test_damaged_metadata_is_our_error(minari_home: Path, text: str) -> None:
    make("theirs-v0", spaces.Box(-1, 1, (2,)), spaces.Discrete(2))
    (minari_home / "theirs-v0" / "data" / "metadata.json").write_text(text)
    with pytest.raises(DatasetError, match="theirs-v0"):
        MinariDataset("theirs-v0")


def test_damaged_data_is_our_error(minari_home: Path) -> None:
    make("theirs-v0", spaces.Box(-1, 1, (2,)), spaces.Discrete(2))
    path = minari_home / "theirs-v0" / "data" / "main_data.hdf5"
    whole = path.read_bytes()
    for damage in (b"", b"no hdf5", whole[: len(whole) // 2]):
        path.write_bytes(damage)
        with pytest.raises(DatasetError, match="theirs-v0"):
            list(MinariDataset("theirs-v0").iterate())
    shutil.rmtree(path.parent.parent / "data")
    with pytest.raises(DatasetError, match="no Minari dataset"):
        MinariDataset("theirs-v0")


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"observations": np.full((4, 2), np.nan)}, NotFiniteError),
        ({"rewards": np.full(3, np.inf)}, NotFiniteError),
        ({"observations": np.zeros((6, 2))}, DatasetError),
        ({"observations": np.zeros((2, 2))}, DatasetError),
        ({"observations": np.zeros((4, 3))}, DatasetError),
        ({"actions": np.array([0, 1, 2])}, DatasetError),
        ({"actions": np.array([0, 1])}, DatasetError),
        ({"terminations": np.array([False])}, DatasetError),
    ],
)
def test_an_inconsistent_episode_is_named(overrides: dict, error: type[Exception]) -> None:
    make("theirs-v0", spaces.Box(-1, 1, (2,)), spaces.Discrete(2), (3,), **overrides)
    with pytest.raises(error, match="theirs-v0"):
        list(MinariDataset("theirs-v0").iterate())
