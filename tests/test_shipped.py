"""The shipped teachers are the files that shipped.json describes, small, and loadable by SB3."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "src" / "rldistill" / "teachers" / "shipped"
ENTRIES = json.loads((FOLDER / "shipped.json").read_text())
# What a teacher must reach to be worth shipping, in units of return.
AT_LEAST = {"cartpole-dqn": 500, "lunarlander-dqn": 200, "lunarlander-ppo": 240}


def test_every_teacher_is_described_and_nothing_else_is_there():
    assert set(ENTRIES) == set(AT_LEAST)
    files = {path.name for path in FOLDER.iterdir()} - {"shipped.json"}
    assert files == {entry["file"] for entry in ENTRIES.values()}


@pytest.mark.parametrize("name", AT_LEAST)
def test_the_file_is_the_one_that_was_measured(name):
    entry, content = ENTRIES[name], (FOLDER / f"{name}.zip").read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert len(content) == entry["bytes"] < 1_000_000


@pytest.mark.parametrize("name", AT_LEAST)
def test_it_plays_well_enough_to_be_a_teacher(name):
    entry = ENTRIES[name]
    assert entry["return_episodes"] >= 200
    assert entry["return_mean"] >= AT_LEAST[name]


@pytest.mark.parametrize("name", AT_LEAST)
def test_the_optimizer_is_stripped_and_the_machine_is_not_described(name):
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as archive:
        assert "system_info.txt" not in archive.namelist()
        optimizer = torch.load(
            io.BytesIO(archive.read("policy.optimizer.pth")), weights_only=True, map_location="cpu"
        )
    assert optimizer["state"] == {}
    assert optimizer["param_groups"]


@pytest.mark.parametrize("name", AT_LEAST)
def test_stable_baselines3_loads_it_and_could_go_on_training(name):
    """An ordinary zip: load, predict, and an optimizer that can still step."""
    sb3 = pytest.importorskip("stable_baselines3")
    algorithm = {"DQN": sb3.DQN, "PPO": sb3.PPO}[ENTRIES[name]["algorithm"]]
    model = algorithm.load(FOLDER / f"{name}.zip", device="cpu")
    batch = np.zeros((3, *model.observation_space.shape), np.float32)
    actions, _ = model.predict(batch, deterministic=True)
    assert actions.shape == (3,)
    assert all(model.action_space.contains(action) for action in actions)
    weight = next(model.policy.parameters())
    before = weight.detach().clone()
    weight.square().sum().backward()
    model.policy.optimizer.step()
    assert not torch.equal(before, weight)
