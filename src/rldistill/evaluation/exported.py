"""An exported policy in its task: the observations it will see, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from rldistill.core import (
    Acting,
    Categorical,
    Deterministic,
    Distribution,
    NetworkPolicy,
    Policy,
    PolicyInfo,
)
from rldistill.core.recurrent import Memoryless
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import TaskError
from rldistill.evaluation.evaluate import one_thread
from rldistill.evaluation.prove import MEASURE_EPISODES, Contestants, Prover
from rldistill.evaluation.scores import Arena, count_envs, policy_actor, training_seed
from rldistill.evaluation.verdict import LEVEL, Verdict

Array = np.ndarray[Any, Any]
NUM_ENVS = 64
# Every so many steps a state is kept: neighbours are alike, and episodes are longer than this.
STRIDE = 8
# Of pixels: emulating frames that nobody keeps takes minutes.
PIXEL_STRIDE = 2
# Logit of the action that an exported file chose, the others having 0.
CERTAIN = 20.0


@final
@dataclass(frozen=True, slots=True)
class ExportedActor(Memoryless):
    """An exported file as a policy that gives one action per state, however it chose it.

    Attributes:
        info: of the policy that was exported.
        decide: actions [B] or [B, D] for observations [B, ...].
    """

    info: PolicyInfo
    decide: Callable[[Array], Array]

    def __call__(self, observations: Tensor) -> Distribution:
        actions = torch.from_numpy(self.decide(observations.cpu().numpy()))
        if actions.dtype == torch.int64:
            one_hot = torch.nn.functional.one_hot(actions, self.info.head.num_outputs)
            return Categorical(CERTAIN * one_hot.float())
        return Deterministic(actions)

    def raw(self, observations: Tensor) -> Tensor:
        """Not there: a file gives actions."""
        raise TaskError(f"{self.info.name}, exported, gives actions and no raw outputs")

    def value(self, observations: Tensor) -> Tensor:
        """Not there: a file gives actions."""
        raise TaskError(f"{self.info.name}, exported, has no value function")

    def to(self, device: torch.device) -> "ExportedActor":
        """Itself: it runs where it runs."""
        del device
        return self


def record_observations(
    policy: Policy, spec: TaskSpec, count: int, seed: int, act: Acting = Acting()
) -> Array:
    """Observations [count, ...] that the policy meets in its task: every 8th, of pixels every 2nd.

    Raises:
        EnvironmentFailure: from the environment.
    """
    num_envs = count_envs(spec, None, min(NUM_ENVS, count))
    first = training_seed(seed)
    with one_thread(), make(spec, num_envs, first) as env:
        actor = policy_actor(policy, act, torch.device("cpu"), seed)
        observations, starts = env.reset(first), np.ones(num_envs, bool)
        kept, step = list[Array](), 0
        rows, stride = 0, STRIDE if observations.ndim == 2 else PIXEL_STRIDE
        while rows < count:
            outcome = env.step(actor(observations, starts))
            observations, starts = outcome.observations, ~outcome.valid
            step += 1
            # Offset by environment, so that starts are kept as often as what follows.
            chosen = (step + np.arange(num_envs)) % stride == 0
            if chosen.any():
                kept.append(observations[chosen].copy())
                rows += int(chosen.sum())
    return np.concatenate(kept)[:count]


def prove_exported(
    exported: ExportedActor,
    against: NetworkPolicy,
    task: tuple[TaskSpec, TaskInfo],
    floor: float,
    acting: tuple[Acting, int],
    error_rate: float = LEVEL,
) -> Verdict:
    """Whether an exported file, playing, holds a share of the return of a policy.

    Args:
        exported: the file.
        against: what it is compared with.
        task: its spec and what it is like.
        floor: the share.
        acting: how `against` acts, and the seed.
        error_rate: chance of saying `holds` of a file that does not, at most.
    """
    spec, info = task
    act, seed = acting
    num_envs = count_envs(spec, None, NUM_ENVS)
    with one_thread(), Arena(spec, info, num_envs, seed) as arena:
        who = Contestants(against, act, Acting(), torch.device("cpu"))
        prover = Prover(arena, who, floor, error_rate)
        for _ in prover.confirm(exported):
            pass
        rounds = [prover.play_three(exported) for _ in range(-(-MEASURE_EPISODES // num_envs))]
        returns = [np.concatenate([three[i].returns for three in rounds]) for i in range(3)]
        return prover.trial.conclude(*returns, paired=info.equal_starts, seed=seed)
