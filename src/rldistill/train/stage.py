"""Stage: one task on which a Q-network in training acts."""

from dataclasses import dataclass, field, replace
from typing import final

import torch

from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.envs.vector import VectorEnv
from rldistill.evaluation.scores import Arena, policy_actor, training_seed
from rldistill.maths import stats
from rldistill.maths.stats import Estimate
from rldistill.methods.method import TEACHER
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller, Randomness
from rldistill.train.episodes import RecentReturns
from rldistill.train.parallel_q import ParallelQ, Targets, lambda_targets


@final
@dataclass(slots=True, kw_only=True)
class Stage:
    """One task, its environments and the network that acts in them.

    Attributes:
        task: what is played.
        info: what it is like.
        policy: the network of this task; its Q-values are the labels of its own steps.
        num_envs: environments stepped together.
        seed: of the run.
        device: of the network.
        randomness: of exploration.
        collector: once opened.
        recent: returns of the latest training episodes, in raw reward.
    """

    task: TaskSpec
    info: TaskInfo
    policy: NetworkPolicy
    num_envs: int
    seed: int
    device: torch.device
    randomness: Randomness
    collector: Collector | None = None
    recent: RecentReturns = field(default_factory=RecentReturns)

    def open(self, round_index: int) -> VectorEnv:
        """Make the environments; returns them, to be closed."""
        seed = training_seed(self.seed, round_index)
        env = make(self.task.seen_by_student(), self.num_envs, seed)
        controller = Controller(
            TEACHER, self.policy, self.policy, Acting(), self.info.action_space, self.randomness
        )
        self.collector = Collector(env, controller, self.device)
        return env

    def play(self, settings: ParallelQ, epsilon: float, round_index: int) -> tuple[Targets, int]:
        """A round of epsilon-greedy steps: what it says Q should be, and how many steps it took."""
        assert self.collector is not None, "open() comes first"
        self.collector.controller.control = replace(TEACHER, epsilon=epsilon)
        trajectory = self.collector.collect(self.num_envs * settings.horizon, round_index)
        self.recent.add(trajectory)
        with torch.no_grad():
            last = self.policy.raw(trajectory.last_observations)
        return lambda_targets(trajectory, last, settings), trajectory.num_steps

    def measure(self, episodes: int) -> Estimate:
        """The mean return of greedy play over fresh episodes, with its 95 % interval."""
        with Arena(self.task, self.info, episodes, self.seed) as arena:
            seed = arena.next_seed()
            actor = policy_actor(self.policy, Acting(), self.device, seed)
            return stats.estimate(arena.play(actor, seed).returns)
