"""gather(): a teacher's decisions on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv
from small_runs import FOLLOW, Follow, follower, follower_folder, tracker

from rldistill.core import CategoricalHead
from rldistill.data.shards import ShardDataset
from rldistill.errors import DatasetError, EnvironmentFailure, SettingError, TaskError
from rldistill.train.gather import GatherSettings, gather

FEW = GatherSettings(steps=500, num_envs=8)


def columns(folder: Path) -> dict[str, Any]:
    rows = list(ShardDataset(folder).iterate())
    names = ("observations", "actions", "rewards", "teacher_raw")
    return {name: np.concatenate([getattr(row, name) for row in rows]) for name in names}


def test_what_the_teacher_saw_did_got_and_would_have_done(tmp_path: Path) -> None:
    record = gather(follower(), FOLLOW, tmp_path / "data", FEW)
    rows = columns(tmp_path / "data")
    assert record["rows"] == len(rows["actions"]) >= 500
    seen = torch.from_numpy(rows["observations"])
    assert np.array_equal(rows["teacher_raw"], follower().raw(seen).numpy())
    assert np.array_equal(rows["actions"], rows["teacher_raw"].argmax(1))
    assert np.array_equal(rows["rewards"], np.ones(len(seen), np.float32))
    assert record["mean_return"] == 8.0
    assert record["episodes"] == record["rows"] // 8 // 8 * 8
    assert record["bytes"] == ShardDataset(tmp_path / "data").nbytes
    assert record["out"] == str(tmp_path / "data")


def test_epsilon_mixes_in_uniform_actions(tmp_path: Path) -> None:
    settings = GatherSettings(steps=4000, num_envs=8, epsilon=0.5)
    record = gather(follower(), FOLLOW, tmp_path / "data", settings)
    assert record["mean_return"] == pytest.approx(6.0, abs=0.25)
    rows = columns(tmp_path / "data")
    assert (rows["actions"] != rows["teacher_raw"].argmax(1)).mean() == pytest.approx(
        0.25, abs=0.03
    )
    meta = ShardDataset(tmp_path / "data").meta
    assert meta.acting == "teacher, mode, epsilon 0.5"


def test_the_dataset_says_where_it_is_from(tmp_path: Path) -> None:
    settings = GatherSettings(steps=50, num_envs=2, seed=7, command="rldistill collect x")
    gather(follower(), "Follow-v0", tmp_path / "data", settings)
    meta = ShardDataset(tmp_path / "data").meta
    assert (meta.task_id, meta.backend, meta.seed) == ("Follow-v0", "gymnasium", 7)
    assert (meta.teacher_name, meta.teacher_fingerprint) == ("by hand", "sha of by hand")
    assert meta.head == CategoricalHead(2)
    assert meta.command == "rldistill collect x"
    assert meta.versions["torch"] == torch.__version__


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = GatherSettings(steps=200, num_envs=4, seed=seed, epsilon=0.2)
        gather(follower(), FOLLOW, tmp_path / name, settings)
    one, same, other = (columns(tmp_path / name) for name in "abc")
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert not np.array_equal(one["observations"], other["observations"])


def test_continuous_actions(tmp_path: Path) -> None:
    record = gather(tracker(), "Track-v0", tmp_path / "data", FEW)
    rows = columns(tmp_path / "data")
    assert rows["actions"].shape == (record["rows"], 1)
    assert np.allclose(rows["actions"], rows["observations"][:, :1])


def test_no_whole_episode_has_no_mean(tmp_path: Path) -> None:
    record = gather(follower(), FOLLOW, tmp_path / "data", GatherSettings(steps=4, num_envs=4))
    assert (record["rows"], record["episodes"], record["mean_return"]) == (4, 0, None)


def test_an_existing_dataset_is_kept_unless_forced(tmp_path: Path) -> None:
    gather(follower(), FOLLOW, tmp_path / "data", FEW)
    with pytest.raises(DatasetError, match="data"):
        gather(follower(), FOLLOW, tmp_path / "data", FEW)
    more = GatherSettings(steps=1000, num_envs=8, force=True)
    assert gather(follower(), FOLLOW, tmp_path / "data", more)["rows"] >= 1000


def test_an_environment_that_raises_leaves_the_whole_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before is a dataset."""
    import importlib

    module = importlib.import_module("rldistill.train.gather")
    monkeypatch.setattr(module, "ROUND_STEPS", 64)
    with pytest.raises(EnvironmentFailure, match="the pole is gone"):
        gather(follower(), lambda: Follow(raise_at=50), tmp_path / "data", FEW)
    assert 64 <= len(ShardDataset(tmp_path / "data")) < 500


def test_a_live_vector_environment(tmp_path: Path) -> None:
    live = SyncVectorEnv([Follow] * 4)
    settings = GatherSettings(steps=100)
    assert gather(follower(), live, tmp_path / "data", settings)["rows"] >= 100
    assert not live.closed


def test_a_teacher_of_another_task_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="the task gives"):
        gather(follower_folder(tmp_path / "teacher"), "CartPole-v1", tmp_path / "data", FEW)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"epsilon": 1.5}, {"epsilon": -0.1}, {"num_envs": 0}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        GatherSettings(**({"steps": 10} | wrong))


def test_minari_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    settings = GatherSettings(steps=200, num_envs=4, minari="follow/expert-v0")
    record = gather(follower(), "Follow-v0", tmp_path / "data", settings)
    found = minari.load_dataset("follow/expert-v0")
    assert found.total_episodes >= record["episodes"]
    # A name that is taken is told before anything is collected.
    with pytest.raises(DatasetError, match="follow/expert-v0 exists already"):
        gather(follower(), "Follow-v0", tmp_path / "again", settings)
    assert not (tmp_path / "again").exists()
