"""Atari tasks: an id and its settings -> emulators behind the one vector API."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from rldistill.envs import ale
from rldistill.envs.atari_memory import AtariMemorySimulator
from rldistill.envs.atari_settings import (
    MAX_FRAMES,
    AtariTask,
    game_of,
    is_plainly_atari,
    max_frames,
    max_steps,
    parse_atari,
)
from rldistill.envs.atari_single import AtariGame
from rldistill.envs.atari_vector import AtariVectorSimulator
from rldistill.envs.gymnasium import GymnasiumSimulator
from rldistill.envs.seeing import RAM
from rldistill.envs.spec import TaskSpec
from rldistill.envs.vector import Opened
from rldistill.errors import SettingError

Array = np.ndarray[Any, Any]


def is_atari(task_id: str) -> bool:
    """Whether an id means an Atari game; ids such as "Hopper-v4", of the same form, do not."""
    game = game_of(task_id)
    if game is None or is_plainly_atari(task_id):
        return game is not None
    registered: EnvSpec | None = gymnasium.registry.get(task_id)
    if registered is not None:
        return str(registered.entry_point).startswith("ale_py")
    return ale.is_installed() and game in ale.games()


def open_atari(task: TaskSpec, num_envs: int, seed: int) -> Opened:
    """Make the task on ale-py; env i is seeded seed + i.

    Raises:
        MissingExtraError: ale-py is not installed.
        TaskError: there is no such game, or its ROM is missing.
        SettingError: a setting is unknown, out of range or without effect.
    """
    del seed  # a reset brings it
    asked = parse_atari(task.id, task.env_kwargs)
    limit = max_steps(asked.settings, task.max_episode_steps)
    fire = fire_of(asked)
    notes = (asked.settings.describe(),)
    shows: dict[str, Callable[[], Array]] = {}
    if any(view.reads_memory for view in task.views):
        watched = not all(view is not None and view.reads_memory for view in task.seats)
        games = [AtariGame(asked, task.max_episode_steps, watched) for _ in range(num_envs)]
        simulator = AtariMemorySimulator(games, min(num_envs, usable_cores()))
        shows = {RAM: simulator.memory}
        notes = (*notes, "single emulators on threads: the vector environment shows no memory")
    elif isinstance(asked.settings.frameskip, int):
        frames = MAX_FRAMES if task.max_episode_steps is None else max_frames(asked.settings, limit)
        vector_env = ale.open_vector(asked, num_envs, frames, min(num_envs, usable_cores()))
        simulator = AtariVectorSimulator(vector_env, asked.settings, fire)
    else:
        simulator = GymnasiumSimulator(
            [AtariGame(asked, task.max_episode_steps) for _ in range(num_envs)]
        )
        notes = (
            *notes,
            "single emulators in Python: the vector environment skips no random frames",
        )
    return Opened(
        simulator=simulator,
        task_id=task.id,
        backend="ale",
        max_episode_steps=limit,
        equal_starts=True,
        notes=notes,
        frame_stack=asked.settings.stack_num,
        shows=shows,
    )


def single_game(task: TaskSpec) -> tuple[AtariGame, int, tuple[str, ...]]:
    """One game by itself, its step limit, and notes.

    Raises:
        MissingExtraError, TaskError, SettingError: as open_atari.
    """
    asked = parse_atari(task.id, task.env_kwargs)
    limit = max_steps(asked.settings, task.max_episode_steps)
    return AtariGame(asked, task.max_episode_steps), limit, (asked.settings.describe(),)


def fire_of(task: AtariTask) -> int | None:
    """Which of a policy's actions is FIRE; None where the game has none.

    Raises:
        SettingError: fire_after_life is set and the game has no FIRE.
    """
    names = [action.name for action in ale.action_set(ale.open_emulator(task, 0), task.settings)]
    if ale.FIRE in names:
        return names.index(ale.FIRE)
    if task.settings.fire_after_life:
        raise SettingError(
            f"{task.id}: fire_after_life has no effect, the game's actions are {', '.join(names)}; "
            "leave it out"
        )
    return None


def scored(task: TaskSpec) -> TaskSpec:
    """The task as scores count it: without a training's ends of episodes and clipping of rewards.

    >>> scored(TaskSpec(id="ALE/Pong-v5", env_kwargs={"reward_clipping": True})).env_kwargs
    {}
    """
    if task.is_live or not is_atari(task.id):
        return task
    only_training = ("episodic_life", "reward_clipping")
    kept = {name: value for name, value in task.env_kwargs.items() if name not in only_training}
    return replace(task, env_kwargs=kept)


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
