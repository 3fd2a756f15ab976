"""Start states out of a policy's own play, or of a dataset: expert starts.

Source: Nair et al. (2015), section 5.1, and Rusu et al. (2016), section 4.1: states from the first
part of recorded games of an expert.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces

from rldistill.core import Acting
from rldistill.data.shards import ShardDataset
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskSpec
from rldistill.envs.starts import Start, Starts, make_single, scored_kwargs
from rldistill.envs.vector import VectorEnv
from rldistill.errors import DatasetError, SettingError, between
from rldistill.evaluation.own_views import (
    recorded_views,
    refuse_code,
    through_views,
    with_own_views,
)
from rldistill.evaluation.scores import (
    Actor,
    policy_actor,
    require_acting,
    task_info,
    training_seed,
)
from rldistill.teachers.load import load_teacher

# Episodes are played together on so many single environments.
TOGETHER = 16


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StartSettings:
    """Which states to take.

    Attributes:
        count: of the states.
        episodes: recorded to take them from.
        share: the first part of an episode that they are taken from, in (0, 1].
        seed: of the episodes and of the choice.
        act: how the policy acts; None: by mode, with 5 % random actions where it has indices.
    """

    count: int = 100
    episodes: int = 32
    share: float = 0.2
    seed: int = 0
    act: Acting | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or self.episodes < 1 or self.seed < 0:
            raise SettingError(
                "starts: count and episodes must be at least 1 and seed at least 0; got "
                f"{self.count}, {self.episodes} and {self.seed}"
            )
        if not 0.0 < self.share <= 1.0:
            raise SettingError(f"starts: share must lie in (0, 1]; got {self.share:g}")


def record_starts(
    policy: Any, task: TaskSource, settings: StartSettings = StartSettings()
) -> Starts:
    """Play whole episodes, then choose states uniformly from the first part of each.

    Args:
        policy: a file, a run folder, or a live object.
        task: an id or a TaskSpec; states can be reached again on single environments of it.
        settings: how many, and from where.

    Raises:
        RldistillError: one of its kinds.
    """
    spec = with_own_views(task_spec(task), policy).seen_by_student()
    info = task_info(spec)
    with between("policy", "task"):
        loaded = load_teacher(
            policy,
            observation_shape=info.observation_space.shape,
            action_space=info.action_space,
            announce=None,
        )
    discrete = isinstance(info.action_space, spaces.Discrete)
    act = settings.act or Acting(epsilon=0.05 if discrete else 0.0)
    require_acting(loaded, act, "act")
    episodes: list[Start] = []
    while (done := len(episodes)) < settings.episodes:
        together = min(TOGETHER, settings.episodes - done)
        actor = policy_actor(loaded, act, torch.device("cpu"), settings.seed + done)
        with make_single(spec, together, settings.seed + done) as env:
            episodes += play_whole(env, actor, settings.seed + done)
    source = f"{loaded.info.name}, acting by {act}, {settings.episodes} episodes"
    return choose(spec, source, episodes, settings)


def play_whole(env: VectorEnv, actor: Actor, seed: int) -> list[Start]:
    """The first episode of each environment: its seed and all its actions."""
    observations, starts = env.reset(seed), np.ones(env.num_envs, bool)
    running = np.ones(env.num_envs, bool)
    acted: list[list[Any]] = [[] for _ in running]
    while running.any():
        actions = actor(observations, starts)
        step = env.step(actions)
        for index in np.flatnonzero(running):
            acted[index].append(actions[index])
        running &= ~(step.terminated | step.truncated)
        env.rest(~running)
        observations, starts = step.observations, ~step.valid
    return [Start(seed + index, np.asarray(actions)) for index, actions in enumerate(acted)]


def choose(spec: TaskSpec, source: str, episodes: list[Start], settings: StartSettings) -> Starts:
    """States drawn uniformly: an episode, then a step in its first part."""
    generator = np.random.default_rng([settings.seed, 7])
    states: list[Start] = []
    for index in generator.integers(0, len(episodes), settings.count):
        episode = episodes[index]
        length = int(generator.integers(0, int(settings.share * len(episode.actions)) + 1))
        states.append(Start(episode.seed, episode.actions[:length]))
    return Starts(
        task_id=spec.id,
        env_kwargs=scored_kwargs(spec),
        source=source,
        states=tuple(states),
    )


def starts_from_dataset(folder: Path, settings: StartSettings = StartSettings()) -> Starts:
    """States from the episodes of a dataset that `rldistill collect` wrote.

    An environment's first episode there can be played to again, and is taken if that shows what
    was recorded; later ones began where the one before had ended.

    Raises:
        DatasetError: no episode can be played to again.
    """
    dataset = ShardDataset(folder)
    meta = dataset.meta
    views = recorded_views(meta.views)
    for view in views.values():
        refuse_code(view, str(folder))
    spec = TaskSpec(id=meta.task_id, env_kwargs=dict(meta.env_kwargs))
    spec = through_views(spec, views).seen_by_student()
    episodes = list(_replayable(dataset, spec, training_seed(meta.seed), settings.episodes))
    if not episodes:
        raise DatasetError(
            f"{folder}: none of its episodes can be played to again from its seed on single "
            f"environments of {spec.id} (it was collected on {meta.backend}); record starts from "
            "a policy"
        )
    source = f"{meta.teacher_name}, acting as {meta.acting}, {len(episodes)} recorded episodes"
    return choose(spec, source, episodes, settings)


def _replayable(dataset: ShardDataset, spec: TaskSpec, seed: int, at_most: int) -> Iterator[Start]:
    """Episodes of a dataset in which replaying shows every observation that was recorded."""
    for number, episode in zip(range(at_most), dataset.episodes(), strict=False):
        if not episode.rows.episode_ends[-1]:
            continue
        start = Start(seed + number, episode.rows.actions)
        with make_single(spec, 1, start.seed) as env:
            seen = env.reset()
            for recorded, action in zip(episode.rows.observations, start.actions, strict=True):
                if not np.array_equal(seen[0], recorded):
                    return
                seen = env.step(action[None]).observations
        yield start
