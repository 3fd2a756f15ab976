"""Teachers for the lab: optimal, learnt, sharpened, noisy, wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from rldistill.errors import SettingError
from rldistill.lab.mdp import FloatArray, Mdp
from rldistill.lab.solve import soft_policy, value_iteration, values


@final
@dataclass(frozen=True, eq=False, slots=True)
class Teacher:
    """A policy and what it is worth.

    Attributes:
        policy: pi [S, A].
        values: V_pi [S], or what the teacher takes for it.
    """

    policy: FloatArray
    values: FloatArray


def teacher_from_table(mdp: Mdp, table: FloatArray, temperature: float) -> Teacher:
    """softmax(table / temperature), temperature 0 for greedy, with its exact value.

    Args:
        mdp: the world.
        table: [S, A], for example Q-values; -Q* gives an adversary.
        temperature: in units of the table.
    """
    policy = soft_policy(table, temperature)
    return Teacher(policy, values(mdp, policy))


def optimal_teacher(mdp: Mdp, temperature: float = 0.0) -> Teacher:
    """softmax(Q* / temperature), by value iteration."""
    return teacher_from_table(mdp, value_iteration(mdp).action_values, temperature)


def adversarial_teacher(mdp: Mdp, temperature: float = 0.0) -> Teacher:
    """softmax(Q / temperature) for the Q of a policy that makes the return as small as it can."""
    worst = value_iteration(replace(mdp, rewards=-mdp.rewards))
    return teacher_from_table(mdp, worst.action_values, temperature)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QLearning:
    """Settings of tabular Q-learning.

    Attributes:
        num_steps: environment steps per world (the paper: 30,000).
        epsilon: chance of a uniform action (the paper: 0.1).
        learning_rate: constant (a guess; the paper's is not known).
        seed: of the draws.
    """

    num_steps: int = 30_000
    epsilon: float = 0.1
    learning_rate: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_steps < 1 or not 0 < self.learning_rate <= 1:
            raise SettingError("num_steps must be at least 1 and learning_rate in (0, 1]")
        check_share(self.epsilon)


def q_learning(worlds: Sequence[Mdp], settings: QLearning | None = None) -> list[FloatArray]:
    """Learn Q [S, A] in every world, from zero.

    Q(s, a) <- Q(s, a) + rate (r + max Q(s', .) - Q(s, a)), behaving epsilon-greedily with ties
    broken at random. Actions with the same effect share what is learnt.

    Returns:
        One table per world.
    """
    from rldistill.lab.kernel import run_q_learning, world_arrays

    chosen = settings or QLearning()
    seeds = np.random.SeedSequence(chosen.seed).spawn(len(worlds))
    tables: list[FloatArray] = []
    for world, seed in zip(worlds, seeds, strict=True):
        table = np.zeros((world.num_states + 1, world.num_effects))
        rng = np.random.default_rng(seed)
        rates = (chosen.num_steps, chosen.epsilon, chosen.learning_rate)
        run_q_learning(world_arrays(world), table, rng, *rates)
        tables.append(table[:-1][:, world.effects])
    return tables


def mix_with_uniform(policy: FloatArray, share: float) -> FloatArray:
    """(1 - share) policy + share / A [S, A]: a teacher that slips now and then, everywhere.

    >>> mix_with_uniform(np.array([[1.0, 0.0]]), 0.5).tolist()
    [[0.75, 0.25]]
    """
    check_share(share)
    return (1.0 - share) * policy + share / policy.shape[1]


def corrupt_states(policy: FloatArray, share: float, rng: np.random.Generator) -> FloatArray:
    """Shuffle the action probabilities in a share of the states, chosen at random [S, A].

    A teacher that is right in most states and wrong, always in the same way, in the others.
    """
    check_share(share)
    chosen = rng.random(len(policy)) < share
    return np.where(chosen[:, None], rng.permuted(policy, axis=1), policy)


def check_share(share: float) -> None:
    """Raise SettingError unless share lies in [0, 1]."""
    if not 0.0 <= share <= 1.0:
        raise SettingError(f"a share must lie in [0, 1], got {share}")
