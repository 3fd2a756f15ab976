"""A scripted vector environment whose observations say where they come from, and its record."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rldistill.core import CategoricalHead, GaussianHead, Trajectory
from rldistill.data.manifest import DatasetMeta
from rldistill.data.shard_writer import ShardWriter
from rldistill.data.shards import ShardDataset

NUM_ACTIONS = 4


@dataclass
class TrueEpisode:
    """What really happened, noted step by step: the oracle of every reader."""

    observations: list[Any] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: list[bool] = field(default_factory=list)
    truncated: list[bool] = field(default_factory=list)
    teacher_raw: list[Any] = field(default_factory=list)
    final: Any = None


@dataclass
class Recording:
    """Trajectories, and by number (n * B + b) the episodes that they hold."""

    trajectories: list[Trajectory]
    episodes: dict[int, TrueEpisode]
    meta: DatasetMeta

    @property
    def num_rows(self) -> int:
        return sum(len(episode.rewards) for episode in self.episodes.values())


def label_of(observation: np.ndarray) -> np.ndarray:
    """The teacher: raw outputs that name the observation they belong to."""
    flat = observation.reshape(-1).astype(np.float32)
    return np.array([flat[:3].sum(), flat[0], -flat[1], flat[2] * 2], np.float32)


def record(num_envs: int, lengths: list[int], *, pixels: bool = False, box: bool = False):
    """Step num_envs scripted environments for sum(lengths) steps, cut into that many chunks.

    An episode of environment b lasts 1 + (3 b + 2 n) % 5 steps and is terminated, or truncated for
    odd n. Observation: (b, n, step, 7); pixels repeat it over 2 x 2.
    """

    def look(b: int, n: int, step: int) -> np.ndarray:
        if pixels:
            return np.tile(np.array([b, n, step, 7], np.uint8), (2, 2, 1))
        return np.array([b, n, step, 7], np.float32)

    count, step, waiting = [0] * num_envs, [0] * num_envs, [False] * num_envs
    episodes: dict[int, TrueEpisode] = {}
    table: list[list[tuple[Any, ...]]] = []
    for t in range(sum(lengths)):
        row = []
        for b in range(num_envs):
            seen = look(b, count[b], step[b])
            if waiting[b]:
                row.append((seen, 0, 0.0, False, False, False, label_of(seen)))
                count[b], step[b], waiting[b] = count[b] + 1, 0, False
                continue
            action, reward = (t + b) % NUM_ACTIONS, float(t - b)
            end = step[b] == (3 * b + 2 * count[b]) % 5
            flags = (end and count[b] % 2 == 0, end and count[b] % 2 == 1)
            row.append((seen, action, reward, *flags, True, label_of(seen)))
            step[b], waiting[b] = step[b] + 1, end
            episode = episodes.setdefault(count[b] * num_envs + b, TrueEpisode())
            episode.observations.append(seen)
            episode.actions.append([action / 2, 1.0] if box else action)
            episode.rewards.append(reward)
            episode.terminated.append(flags[0])
            episode.truncated.append(flags[1])
            episode.teacher_raw.append(label_of(seen))
            episode.final = look(b, count[b], step[b])
        table.append(row)
    last = np.stack([look(b, count[b], step[b]) for b in range(num_envs)])
    return Recording(chunks(table, lengths, last, box), episodes, meta_of(pixels, box))


def chunks(table: list[Any], lengths: list[int], last: np.ndarray, box: bool) -> list[Trajectory]:
    found, start = [], 0
    for length in lengths:
        part = table[start : start + length]
        start += length
        columns = [np.array([[cell[i] for cell in row] for row in part]) for i in range(7)]
        observations, actions, rewards, terminated, truncated, valid, raw = columns
        if box:
            actions = np.stack([actions / 2, np.ones_like(actions)], -1).astype(np.float32)
        after = np.array([cell[0] for cell in table[start]]) if start < len(table) else last
        columns = (observations, actions, rewards.astype(np.float32))
        columns += (terminated, truncated, valid, raw, after)
        found.append(Trajectory(*(torch.from_numpy(np.ascontiguousarray(x)) for x in columns)))
    return found


def meta_of(pixels: bool = False, box: bool = False) -> DatasetMeta:
    return DatasetMeta(
        task_id="CartPole-v1",
        backend="gymnasium",
        env_kwargs={"sutton_barto_reward": True},
        observation_shape=(2, 2, 4) if pixels else (4,),
        observation_dtype="uint8" if pixels else "float32",
        head=GaussianHead((0.0, -np.inf), (2.0, np.inf)) if box else CategoricalHead(NUM_ACTIONS),
        teacher_name="PPO",
        teacher_fingerprint="ab12",
        acting="teacher, mode",
        command="rldistill collect",
        seed=3,
        versions={"rldistill": "0.1.0"},
    )


def write(folder: Path, recording: Recording, rows_per_shard: int | None = 16) -> ShardDataset:
    with ShardWriter(folder, recording.meta, rows_per_shard=rows_per_shard) as writer:
        for trajectory in recording.trajectories:
            writer.add(trajectory)
    return ShardDataset(folder)
