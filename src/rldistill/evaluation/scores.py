"""Returns: complete rounds of episodes of any actor, the same number from every environment."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
import torch
from gymnasium import spaces

from rldistill.core import (
    Acting,
    CategoricalHead,
    DeterministicHead,
    Policy,
    QValueHead,
    State,
    restarted,
)
from rldistill.envs.atari import scored
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.envs.starts import Start, make_started
from rldistill.envs.vector import VectorEnv
from rldistill.errors import NotFiniteError, SettingError
from rldistill.evaluation.agreement import Order
from rldistill.rollout.control import uniform_actions

# Actions for observations [B, ...] and starts [B] bool (they begin an episode): int64 [B] or
# float32 [B, D]. It carries what it remembers itself.
Actor = Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], np.ndarray[Any, Any]]

CPU = torch.device("cpu")

# Evaluation seeds and training seeds come from disjoint halves of the non-negative int32 range.
SEED_SPACE = 1 << 30


@final
@dataclass(frozen=True, slots=True)
class Round:
    """One episode from each of B environments.

    Attributes:
        returns: [B] float64, undiscounted sums of raw reward.
        lengths: [B] int64, environment steps.
        observations: [N, ...] the states visited, in no order, where they were asked for; else [0]:
            as the student sees them.
        seed: environment i was seeded seed + i.
        episodes: [N] int64, the environment in which each of these states was visited.
        steps: [N] int64, environment steps before it; 0 is the start.
        teacher_observations: [N, ...], the same states as the teacher sees them, where that is
            something else; None: the same.
    """

    returns: np.ndarray[Any, Any]
    lengths: np.ndarray[Any, Any]
    observations: np.ndarray[Any, Any]
    seed: int = 0
    episodes: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    steps: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    teacher_observations: np.ndarray[Any, Any] | None = None

    def seen(self, device: torch.device = CPU) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The states as the student sees them, and as the teacher, for agreement()."""
        theirs = self.teacher_observations
        return (
            torch.from_numpy(self.observations).to(device),
            None if theirs is None else torch.from_numpy(theirs).to(device),
        )

    @property
    def order(self) -> Order:
        """Where each of them lies in its episode."""
        return Order(self.episodes, self.steps)


def policy_actor(policy: Policy, act: Acting, device: torch.device, seed: int) -> Actor:
    """An actor from a policy that runs on a device; `seed` is for acting by sampling.

    What a recurrent policy remembers is carried from call to call, until another number of
    environments comes.
    """
    generator = torch.Generator(device).manual_seed(seed)
    state: State = ()
    size = 0

    def actor(
        observations: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        nonlocal state, size
        seen = torch.from_numpy(observations).to(device)
        if not policy.info.is_recurrent:
            with torch.no_grad():
                return act.choose(policy(seen), generator).cpu().numpy()
        if len(seen) != size:
            state, size = policy.initial_state(len(seen)), len(seen)
        with torch.no_grad():
            before = restarted(state, torch.from_numpy(starts).to(device))
            raw, state = policy.step(seen, before)
            return act.choose(policy.info.head(raw), generator).cpu().numpy()

    return actor


def random_actor(space: spaces.Space[Any], seed: int) -> Actor:
    """The uniform policy: the zero of every fraction."""
    generator = np.random.default_rng(seed)
    return lambda observations, starts: uniform_actions(space, len(observations), generator)


def play_round(
    env: VectorEnv,
    actor: Actor,
    seed: int,
    keep_observations: bool = False,
    as_teacher: bool = False,
) -> Round:
    """Play one complete round: each environment's first episode after this seed, then stop.

    Environments that finish early rest (or go on stepping in vain, where the backend cannot let
    them rest): so short episodes are not over-represented.

    Args:
        env: the environments.
        actor: who plays.
        seed: of the round.
        keep_observations: keep the states that are visited.
        as_teacher: the actor is shown what the teacher sees, not what the student sees.

    Raises:
        EnvironmentFailure: the environment raised or did not end.
        NotFiniteError: the policy's actions are NaN.
    """
    observations, starts = env.reset(seed), np.ones(env.num_envs, bool)
    returns, lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, np.int64)
    running = np.ones(env.num_envs, bool)
    kept: list[np.ndarray[Any, Any]] = []
    theirs: list[np.ndarray[Any, Any]] = []
    whose: list[np.ndarray[Any, Any]] = []
    while running.any():
        if keep_observations:
            kept.append(observations[running])
            whose.append(np.flatnonzero(running))
            if env.teacher_observations is not observations:
                theirs.append(env.teacher_observations[running])
        actions = actor(env.teacher_observations if as_teacher else observations, starts)
        if actions.dtype.kind == "f" and not np.isfinite(actions).all():
            raise NotFiniteError("the policy gave an action that is NaN or infinite")
        step = env.step(actions)
        returns += np.where(running, step.rewards, 0.0)
        lengths += running
        ended = step.terminated | step.truncated
        if ended.any():
            running &= ~ended
            env.rest(~running)
        observations, starts = step.observations, ~step.valid
    seen = np.concatenate(kept) if kept else np.zeros((0, *observations.shape[1:]), np.float32)
    episodes = np.concatenate([*whose, np.zeros(0, np.int64)])
    steps = np.repeat(np.arange(len(whose)), [len(awake) for awake in whose])
    seen_by_teacher = np.concatenate(theirs) if theirs else None
    return Round(returns, lengths, seen, seed, episodes, steps, seen_by_teacher)


@final
@dataclass(slots=True)
class Arena:
    """Plays rounds on seeds that are never used twice.

    Attributes:
        task: what to play.
        info: what it is like.
        num_envs: episodes per round.
        base_seed: of the run.
        rounds_played: how many seed blocks were used; saved in checkpoints.
        envs: the environments, made at the first round and seeded anew for each, by what they
            show; a context manager closes them.
        starts: states that episodes start from, one for each environment; None: where the task
            starts them.
    """

    task: TaskSpec
    info: TaskInfo
    num_envs: int
    base_seed: int
    rounds_played: int = 0
    envs: dict[str, VectorEnv] = field(default_factory=dict[str, VectorEnv])
    starts: tuple[Start, ...] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for env in self.envs.values():
            env.close()
        self.envs.clear()

    def next_seed(self) -> int:
        """The first of num_envs fresh seeds.

        Raises:
            SettingError: none are left, after at least half of SEED_SPACE episodes.
        """
        start = np.random.default_rng([self.base_seed, 1]).integers(0, SEED_SPACE // 2)
        seed = int(start) + self.rounds_played * self.num_envs
        if seed + self.num_envs > SEED_SPACE:
            raise SettingError(
                f"all {SEED_SPACE:,} evaluation seeds are used up; start a run with another seed"
            )
        self.rounds_played += 1
        return seed

    def play(
        self, actor: Actor, seed: int, keep_observations: bool = False, as_teacher: bool = False
    ) -> Round:
        """One round of freshly seeded environments, which show no more than is needed."""
        env = self._env(keep_observations, as_teacher, seed)
        return play_round(env, actor, seed, keep_observations, as_teacher)

    def _env(self, both: bool, as_teacher: bool, seed: int) -> VectorEnv:
        """Environments that show what one seat sees, or both; made where there are none yet."""
        # A training's clipping of rewards and ends of episodes are no part of a score.
        task = scored(self.task)
        shown = "both" if both or task.one_view else "teacher" if as_teacher else "student"
        if shown not in self.envs:
            if shown != "both":
                task = task.seen_by_teacher() if as_teacher else task.seen_by_student()
            if self.starts is None:
                self.envs[shown] = make(task, self.num_envs, seed)
            else:
                self.envs[shown] = make_started(task, self.starts)
        return self.envs[shown]


def task_info(task: TaskSpec) -> TaskInfo:
    """What the task's environments are like; makes one (or takes the live ones) to see.

    Raises:
        TaskError, MissingExtraError: the task is unknown or its packages are not installed.
    """
    num_envs = 1 if task.vector_env is None else int(task.vector_env.num_envs)
    with make(task, num_envs, 0) as env:
        return env.info


def count_envs(task: TaskSpec, asked: int | None, default: int) -> int:
    """How many environments are stepped together.

    Raises:
        SettingError: a live vector environment has another number.
    """
    if task.vector_env is None:
        return asked or default
    count = int(task.vector_env.num_envs)
    if asked not in (None, count):
        raise SettingError(f"num_envs is {asked}; the vector environment given has {count}")
    return count


def require_acting(policy: Policy, act: Acting, setting: str) -> None:
    """Sampling and epsilon must have an effect: a policy may have no distribution, or no indices.

    Raises:
        SettingError: that is so here; `setting` is what the error calls it.
    """
    if not act.mode and isinstance(policy.info.head, DeterministicHead):
        raise SettingError(
            f"{setting} 'sample' has no effect: {policy.info.name} gives one action per state and "
            "no distribution to sample from; leave it out"
        )
    if act.epsilon and not isinstance(policy.info.head, CategoricalHead | QValueHead):
        raise SettingError(
            f"{setting} {act}: the actions of {policy.info.name} are continuous, and epsilon is "
            "about action indices; leave it out"
        )


def training_seed(base_seed: int, round_index: int = 0) -> int:
    """The first seed of the training environments, away from all evaluation seeds.

    A resumed run starts its environments in a later round, and so with another seed.
    """
    generator = np.random.default_rng([base_seed, 2, round_index])
    return int(SEED_SPACE + generator.integers(0, SEED_SPACE // 2))
