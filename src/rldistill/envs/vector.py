"""One vector environment over every backend: what is normalised is normalised here.

Shapes: B environments, O numbers of a flat observation, D size of a continuous action.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, final

import numpy as np
from gymnasium import spaces

from rldistill.envs.actions import action_writer, all_finite
from rldistill.envs.observations import ObservationReader
from rldistill.envs.seats import Seats
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import EnvironmentFailure, RldistillError, ShapeError

Array = np.ndarray[Any, Any]
RawStep = tuple[Any, Array, Array, Array]


class Step(NamedTuple):
    """What B environments returned for one batch of actions.

    An environment whose episode ends shows that episode's real last observation. Its next step
    ignores the action, has valid False and reward 0, and shows the next episode's first
    observation; that phantom step must never enter the data. Ending on both grounds at once
    counts as terminated (envpool reports it as truncated on the last step of the limit).
    """

    observations: Array  # [B, O] float32, or [B, ...] uint8: what the student sees
    rewards: Array  # [B] float64, raw
    terminated: Array  # [B] bool: a real end, worth nothing afterwards
    truncated: Array  # [B] bool: cut off by the step limit, worth what follows
    valid: Array  # [B] bool
    teacher_observations: Array  # what the teacher sees of the same step; one array if it is equal


class VectorEnv(ABC):
    """B copies of one task that act in step; a context manager that closes them.

    Attributes:
        info: the task.
        num_envs: B.
        teacher_observations: [B, ...], what the teacher sees now, after a reset or a step: the
            very array that the student sees, where their views are equal.
    """

    info: TaskInfo
    num_envs: int
    teacher_observations: Array

    @abstractmethod
    def reset(self, seed: int | None = None) -> Array:
        """Start new episodes everywhere: what the student sees, [B, ...].

        Args:
            seed: env i is seeded seed + i, as if the environments were made anew with it; None goes
                on with the seed they were made with.
        """

    @abstractmethod
    def step(self, actions: Array) -> Step:
        """Act once everywhere.

        Args:
            actions: int [B] from 0, or float [B, D] (clipped to the bounds here).

        Raises:
            ShapeError: the actions are not of this shape or range.
            NotFiniteError: an action is not a number.
            EnvironmentFailure: an environment raised, or returned something that is not a number.
        """

    def rest(self, resting: Array) -> None:
        """Say which environments need not be stepped again before the next reset: bool [B].

        Their part of each Step is then not valid: reward 0, no end, any earlier observation. A
        backend that can leaves them alone, which saves their time; others step them in vain.
        """
        del resting

    @abstractmethod
    def close(self) -> None:
        """Release the environments; a live vector environment stays open, it is its owner's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Simulator(Protocol):
    """What a backend gives: B environments with NEXT_STEP autoreset, in their own spaces."""

    num_envs: int
    observation_space: spaces.Space[Any]  # of one environment
    action_space: spaces.Space[Any]

    def reset(self, seed: int | None) -> Any:
        """Batched raw observations; env i is seeded seed + i, None goes on with what there is."""
        ...

    def step(self, actions: Array) -> RawStep:
        """Raw observations, rewards, terminated, truncated, in arrays that are never reused."""
        ...

    def rest(self, resting: Array) -> None:
        """Environments [B] bool that need not be stepped before the next reset."""
        ...

    def close(self) -> None: ...


class SimulatorError(Exception):
    """An environment raised; the original is the cause, index says which one, if known."""

    def __init__(self, index: int | None) -> None:
        super().__init__(index)
        self.index = index


@final
@dataclass(frozen=True, kw_only=True)
class Opened:
    """A simulator and what its backend knows of it.

    `shows` is what else can be looked at after each step: seeing.PIXELS, seeing.RAM.
    """

    simulator: Simulator
    task_id: str
    backend: str
    max_episode_steps: int
    equal_starts: bool
    notes: tuple[str, ...] = ()
    frame_stack: int = 1
    shows: Mapping[str, Callable[[], Array]] = field(default_factory=dict[str, Callable[[], Array]])


@final
class NormalisedVectorEnv(VectorEnv):
    """A simulator behind the conventions of Step and TaskInfo."""

    def __init__(self, opened: Opened, seed: int, task: TaskSpec | None = None) -> None:
        self._simulator = opened.simulator
        self.num_envs = self._simulator.num_envs
        self._read = ObservationReader(self._simulator.observation_space)
        self._write = action_writer(self._simulator.action_space)
        self._seed: int | None = seed
        self._valid = np.ones(self.num_envs, np.bool_)
        self._resting = np.zeros(self.num_envs, np.bool_)
        self._lengths = np.zeros(self.num_envs, np.int64)  # steps since the last end
        self._num_lost = 0  # environments whose next step is not valid
        self._step_count = 0
        self._started = False
        self.info = TaskInfo(
            id=opened.task_id,
            backend=opened.backend,
            observation_space=self._read.space,
            action_space=self._write.space,
            observation_parts=self._read.parts,
            equal_starts=opened.equal_starts,
            max_episode_steps=opened.max_episode_steps,
            notes=opened.notes,
            frame_stack=opened.frame_stack,
        )
        self._seats = None
        if task is not None and task.views:
            self._seats = Seats(task, self.info, self._simulator, opened.shows)
            self.info = self._seats.info

    def reset(self, seed: int | None = None) -> Array:
        seed = self._seed if seed is None else seed
        try:
            raw = self._simulator.reset(seed)
        except Exception as error:
            raise self._failure(error, "reset") from _original(error)
        self._seed, self._step_count, self._started = None, 0, True
        self._valid, self._num_lost = np.ones(self.num_envs, np.bool_), 0
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._resting = np.zeros(self.num_envs, np.bool_)
        observations, self.teacher_observations = self._look(raw, None, seed)
        return observations

    def step(self, actions: Array) -> Step:
        self._check_ready(actions)
        written = self._write(actions)
        self._step_count += 1
        try:
            raw, rewards, terminated, truncated = self._simulator.step(written)
        except Exception as error:
            raise self._failure(error, f"step {self._step_count}") from _original(error)
        observations, theirs = self._look(raw, actions, None)
        rewards = rewards.astype(np.float64)
        self._check_finite(rewards, "reward")
        self.teacher_observations = theirs
        valid = self._valid
        if self._num_lost:
            rewards *= valid
            terminated, truncated = terminated & valid, truncated & valid
        # Of bools, a > b is "a and not b": terminated wins where an episode ends on both grounds.
        truncated = truncated > terminated
        lost = terminated | truncated | self._resting
        self._lengths = np.where(lost, 0, self._lengths + 1)
        if self._lengths.max() > self.info.max_episode_steps + 1:
            raise EnvironmentFailure(
                f"{self.info.id}: {self._name(int(self._lengths.argmax()))} did not end its "
                f"episode within its limit of {self.info.max_episode_steps:,} steps: does a "
                "wrapper hide the end of episodes?"
            )
        self._num_lost = np.count_nonzero(lost)
        self._valid = ~lost
        return Step(observations, rewards, terminated, truncated, valid, theirs)

    def rest(self, resting: Array) -> None:
        self._resting = np.array(resting, np.bool_)
        self._simulator.rest(self._resting)
        self._valid = self._valid & ~self._resting
        self._num_lost = self.num_envs - np.count_nonzero(self._valid)

    def close(self) -> None:
        self._simulator.close()

    def _check_ready(self, actions: Array) -> None:
        if len(actions) != self.num_envs:
            raise ShapeError(f"step: {self.num_envs} environments got {len(actions)} actions")
        if not self._started:
            raise ShapeError("step: reset() must be called first; it gives the first observations")

    def _look(self, raw: Any, actions: Array | None, seed: int | None) -> tuple[Array, Array]:
        """What student and teacher see: one array twice where their views are equal."""
        if self._seats is None:
            plain = self._read_plain(raw)
            return plain, plain
        starts = np.ones_like(self._valid) if actions is None else ~self._valid
        try:
            ours, theirs = self._seats.look(raw, actions, starts, seed)
        except EnvironmentFailure as error:
            raise EnvironmentFailure(f"{self.info.id}: {error}") from error
        self._check_finite(ours, "observation through the student's view")
        if theirs is not ours:
            self._check_finite(theirs, "observation through the teacher's view")
        return ours, theirs

    def _read_plain(self, raw: Any) -> Array:
        """What a task without views shows, to both."""
        try:
            observations = self._read(raw)
        except EnvironmentFailure as error:
            raise EnvironmentFailure(f"{self.info.id}: {error}") from error
        self._check_finite(observations, "observation")
        return observations

    def _failure(self, error: Exception, when: str) -> RldistillError:
        if isinstance(error, RldistillError):
            return type(error)(f"{self.info.id}, {when}: {error}")
        index = error.index if isinstance(error, SimulatorError) else None
        which = f"one of {self.num_envs} environments" if index is None else self._name(index)
        cause = _original(error)
        return EnvironmentFailure(
            f"{self.info.id}: {which} raised in {when}: {type(cause).__name__}: {cause}"
        )

    def _name(self, index: int) -> str:
        """Counted as people count; its seed is the first one plus what stands before it."""
        return f"environment number {index + 1} of {self.num_envs}"

    def _check_finite(self, values: Array, what: str) -> None:
        if values.dtype == np.uint8 or all_finite(values):
            return
        index = int(np.argwhere(~np.isfinite(values))[0][0])
        raise EnvironmentFailure(
            f"{self.info.id}: {self._name(index)} returned a NaN or infinite "
            f"{what} in step {self._step_count} (0 is the reset); its simulation has diverged or "
            "its code divides by zero"
        )


def _original(error: Exception) -> BaseException:
    """The exception of the environment itself."""
    inner = error.__cause__ if isinstance(error, SimulatorError) else None
    return error if inner is None else inner
