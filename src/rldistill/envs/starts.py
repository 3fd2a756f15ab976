"""Start states that can be played to again: a seed, and the actions up to there.

They work on every deterministic task, whatever simulates it: Atari (its sticky actions are seeded
too), MinAtar, and gymnasium's tasks. Each is replayed on an environment of its own, since vector
environments in C++ start all their games alike.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import gymnasium
import numpy as np

from rldistill.envs.actions import action_writer
from rldistill.envs.atari import is_atari, scored, single_game
from rldistill.envs.atari_single import AtariGame
from rldistill.envs.construction import build_env
from rldistill.envs.gymnasium import GymnasiumSimulator
from rldistill.envs.minatar import build_minatar, is_minatar
from rldistill.envs.spec import TaskSpec, plain_kwargs
from rldistill.envs.vector import NormalisedVectorEnv, Opened, VectorEnv
from rldistill.errors import EnvironmentFailure, SettingError, TaskError

Array = np.ndarray[Any, Any]
Env = gymnasium.Env[Any, Any]
FORMAT = "rldistill starts 1"


@final
@dataclass(frozen=True, slots=True)
class Start:
    """A state: what is reached from a reset with this seed by these actions (as policies act)."""

    seed: int
    actions: Array  # int64 [T] or float32 [T, D]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Start states of one task, and where they are from.

    Attributes:
        task_id: the task.
        env_kwargs: with these arguments.
        source: who played there.
        states: in no order.
    """

    task_id: str
    env_kwargs: dict[str, Any]
    source: str
    states: tuple[Start, ...]

    def save(self, path: Path) -> None:
        """Write them as JSON.

        Raises:
            SettingError: the file cannot be written.
        """
        record = {
            "format": FORMAT,
            "task": self.task_id,
            "env_kwargs": self.env_kwargs,
            "source": self.source,
            "starts": [{"seed": s.seed, "actions": s.actions.tolist()} for s in self.states],
        }
        try:
            partial = path.with_name(f"{path.name}.partial")
            partial.write_text(json.dumps(record), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise SettingError(f"starts cannot be written to {path}: {error}") from error

    @classmethod
    def load(cls, path: Path) -> "Starts":
        """What save wrote.

        Raises:
            SettingError: the file is missing, or is not one of these.
        """
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            assert record["format"] == FORMAT
            states = tuple(_read(state) for state in record["starts"])
            assert states
            return cls(
                task_id=str(record["task"]),
                env_kwargs=dict(record["env_kwargs"]),
                source=str(record["source"]),
                states=states,
            )
        except OSError as error:
            raise SettingError(f"starts cannot be read from {path}: {error}") from error
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise SettingError(
                f"{path} is no file of starts, or a damaged one; make it with: "
                "rldistill starts record POLICY --task ID --out FILE"
            ) from error

    def require_task(self, task: TaskSpec) -> None:
        """Check that these are states of this task.

        Raises:
            TaskError: they are of another one.
        """
        ours = (self.task_id, dict(self.env_kwargs))
        if ours != (asked := (task.id, scored_kwargs(task))):
            raise TaskError(
                f"these starts are of {ours[0]} with {ours[1] or 'no arguments'}, the task is "
                f"{asked[0]} with {asked[1] or 'none'}: they would lead to other states; record "
                "starts on this task"
            )


def _read(state: dict[str, Any]) -> Start:
    given = np.asarray(state["actions"])
    whole = given.ndim < 2 and (given.size == 0 or given.dtype.kind == "i")
    return Start(int(state["seed"]), given.astype(np.int64 if whole else np.float32))


def scored_kwargs(task: TaskSpec) -> dict[str, Any]:
    """The arguments of a task as JSON has them, without those that scores leave out."""
    return plain_kwargs(scored(task).env_kwargs)


@final
class StartedEnv(gymnasium.Env[Any, Any]):
    """An environment each of whose episodes starts from one state."""

    def __init__(self, env: Env, start: Start) -> None:
        self._env, self._start = env, start
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self._write = action_writer(env.action_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Play to the state; what chance brings afterwards is that of the start's own seed."""
        del seed, options
        observation, info = self._env.reset(seed=self._start.seed)
        actions = self._write(self._start.actions) if len(self._start.actions) else ()
        if isinstance(self._env, AtariGame):
            return self._env.replay([int(action) for action in actions]), {}
        for action in actions:
            observation, _, over, cut, info = self._env.step(action)
            if over or cut:
                raise EnvironmentFailure(
                    f"the episode of seed {self._start.seed} ends before its start state: the task "
                    "is not the one, or not in the version, that the starts were recorded on"
                )
        return observation, info

    def step(self, action: Any) -> Any:
        return self._env.step(action)

    def render(self) -> Any:
        """As the environment draws itself."""
        return self._env.render()

    @property
    def unwrapped(self) -> Env:
        """The environment inside of it."""
        return self._env.unwrapped

    def close(self) -> None:
        self._env.close()


def single_envs(task: TaskSpec, count: int) -> tuple[list[Env], int, tuple[str, ...]]:
    """Environments of a task one by one, the step limit, and notes.

    Raises:
        TaskError: the task has only a live vector environment, or is envpool's.
    """
    if task.vector_env is not None or task.backend == "envpool":
        raise TaskError(
            "start states are played to one by one, which a live vector environment or backend "
            "'envpool' cannot do; name the task by an id, with backend 'auto' or 'gymnasium'"
        )
    build = build_env
    if task.wrapper is None and task.backend != "gymnasium" and not task.is_live:
        build = single_game if is_atari(task.id) else build
        build = build_minatar if is_minatar(task.id) else build
    made = [build(task) for _ in range(count)]
    _, limit, notes = made[0]
    return [env for env, _, _ in made], limit, notes


def make_single(task: TaskSpec, count: int, seed: int) -> VectorEnv:
    """make(), on single environments whatever the task: what starts are recorded and played on."""
    envs, limit, notes = single_envs(task, count)
    return _vector(task, envs, limit, notes, seed)


def make_started(task: TaskSpec, states: Sequence[Start]) -> VectorEnv:
    """One environment per state; a seed at reset has no effect on them.

    Raises:
        TaskError, SettingError, MissingExtraError: as single_envs.
    """
    envs, limit, notes = single_envs(task, len(states))
    started: list[Env] = [StartedEnv(env, s) for env, s in zip(envs, states, strict=True)]
    note = f"{len(states)} start states, each played to again on a single environment"
    return _vector(task, started, limit, (note, *notes), states[0].seed)


def _vector(
    task: TaskSpec, envs: list[Env], limit: int, notes: tuple[str, ...], seed: int
) -> VectorEnv:
    simulator = GymnasiumSimulator(envs)
    opened = Opened(
        simulator=simulator,
        task_id=task.id,
        backend="single",
        max_episode_steps=limit,
        equal_starts=True,
        notes=notes,
        shows=simulator.shows(),
    )
    return NormalisedVectorEnv(opened, seed, task)
