"""Exact answers about an Mdp: how often a policy is where, what it is worth, what is best.

Policies are tables [S, A] of probabilities. All expectations are over whole episodes and
undiscounted (see rldistill.lab.mdp). V(end) = 0.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from rldistill.errors import SettingError, ShapeError
from rldistill.lab.mdp import FloatArray, Mdp, check_chances, states_without_end

# Value iteration stops when no value moves by more than this, relative to the largest.
TOLERANCE = 1e-12
MAX_SWEEPS = 200_000


@final
@dataclass(frozen=True, eq=False, slots=True)
class Optimum:
    """The best that can be done.

    Attributes:
        values: V* [S].
        action_values: Q* [S, A].
        policy: a greedy policy [S, A], the first of equally good actions.
    """

    values: FloatArray
    action_values: FloatArray
    policy: FloatArray


def check_policy(mdp: Mdp, policy: FloatArray) -> None:
    """Raise unless policy is a table [S, A] of probabilities for this mdp."""
    expected = (mdp.num_states, mdp.num_actions)
    if policy.shape != expected:
        raise ShapeError(f"{mdp.name}: a policy must be [S, A] = {expected}, got {policy.shape}")
    check_chances(f"{mdp.name}: the policy in a state", policy)


def fold(mdp: Mdp, policy: FloatArray) -> FloatArray:
    """Chance of each effect [S, B] under a policy [S, A]."""
    if mdp.num_effects == mdp.num_actions and (mdp.effects == np.arange(mdp.num_actions)).all():
        return policy
    folded = np.zeros((policy.shape[0], mdp.num_effects))
    for effect in range(mdp.num_effects):
        folded[:, effect] = policy[:, mdp.effects == effect].sum(axis=1)
    return folded


def step_matrix(mdp: Mdp, policy: FloatArray) -> FloatArray:
    """P(s' | s) [S, S] of a policy that ends every episode.

    Raises:
        SettingError: from some state the policy never ends the episode.
    """
    effects = fold(mdp, policy)
    steps: FloatArray = np.matmul(effects[:, None, :], mdp.transitions)[:, 0, :]
    stuck = states_without_end(steps, (effects * mdp.ends).sum(axis=1))
    if stuck.any():
        raise SettingError(
            f"{mdp.name}: from state {int(np.argmax(stuck))} the policy never ends the episode, so "
            "its value is not defined; use a policy that takes every action now and then, or "
            "discounted()"
        )
    return steps


def visits(mdp: Mdp, policy: FloatArray) -> FloatArray:
    """Expected number of visits per episode [S]: d = start + P^T d.

    >>> from rldistill.lab.mdp import from_tables
    >>> chain = from_tables("c", np.array([1.0, 0.0]), np.array([[[0.0, 0.5]], [[0.0, 0.0]]]),
    ...                     np.zeros((2, 1)))
    >>> visits(chain, np.ones((2, 1))).tolist()
    [1.0, 0.5]
    """
    steps = step_matrix(mdp, policy)
    return np.linalg.solve(np.eye(mdp.num_states) - steps.T, mdp.start).astype(np.float64)


def values(mdp: Mdp, policy: FloatArray, rewards: FloatArray | None = None) -> FloatArray:
    """V(s) [S]: expected sum of rewards from s on; V = E_a[rewards] + P V.

    Args:
        mdp: the problem.
        policy: [S, A].
        rewards: [S, A]; by default the expected rewards of the mdp.
    """
    table = reward_table(mdp) if rewards is None else rewards
    mean = (policy * table).sum(axis=1)
    return np.linalg.solve(np.eye(mdp.num_states) - step_matrix(mdp, policy), mean)


def action_values(mdp: Mdp, policy: FloatArray, rewards: FloatArray | None = None) -> FloatArray:
    """Q(s, a) [S, A]: rewards(s, a), then the policy; arguments as for values."""
    table = reward_table(mdp) if rewards is None else rewards
    return table + next_values(mdp, values(mdp, policy, rewards))


def reward_table(mdp: Mdp) -> FloatArray:
    """E[r | s, a] [S, A]."""
    return mdp.mean_rewards[:, mdp.effects]


def next_values(mdp: Mdp, state_values: FloatArray) -> FloatArray:
    """E[v(s') | s, a] [S, A], where the end counts 0."""
    return (mdp.transitions @ state_values)[:, mdp.effects]


def expected_return(mdp: Mdp, policy: FloatArray) -> float:
    """E[sum of rewards] of one episode."""
    return float(mdp.start @ values(mdp, policy))


def value_iteration(mdp: Mdp) -> Optimum:
    """V*, Q* and a greedy policy: V(s) <- max_a r(s, a) + E[V(s')] until it stands still.

    The greedy policy is then evaluated by a linear solve, so that V* is exact wherever that policy
    is optimal.

    Raises:
        SettingError: the values do not settle: some policy collects reward for ever.
    """
    padded = np.zeros(mdp.num_states + 1)  # the last entry is END: always 0
    for _ in range(MAX_SWEEPS):
        table = mdp.mean_rewards + (mdp.chances * padded[mdp.successors]).sum(axis=2)
        change = np.abs(table.max(axis=1) - padded[:-1]).max()
        padded[:-1] = table.max(axis=1)
        if change <= TOLERANCE * max(1.0, np.abs(padded).max()):
            break
    else:
        raise SettingError(
            f"{mdp.name}: value iteration did not settle in {MAX_SWEEPS:,} sweeps: some policy "
            "collects reward without end; let episodes end, or use discounted()"
        )
    policy = greedy(table[:, mdp.effects])
    best = values(mdp, policy)
    return Optimum(best, reward_table(mdp) + next_values(mdp, best), policy)


def optimal_advantages(optimum: Optimum) -> FloatArray:
    """A*(s, a) = Q*(s, a) - V*(s) [S, A], at most 0."""
    return optimum.action_values - optimum.values[:, None]


def greedy(table: FloatArray) -> FloatArray:
    """A policy [S, A] that takes the largest entry of a table [S, A]; the first of equals.

    Entries that differ by rounding alone count as equal.
    """
    top = table.max(axis=1, keepdims=True)
    slack = 1e-9 * np.maximum(1.0, np.abs(top))
    policy = np.zeros_like(table)
    policy[np.arange(table.shape[0]), np.argmax(table >= top - slack, axis=1)] = 1.0
    return policy


def soft_policy(table: FloatArray, temperature: float) -> FloatArray:
    """softmax(table / temperature) per state [S, A]; temperature 0 is greedy.

    Raises:
        SettingError: a negative temperature.

    >>> soft_policy(np.array([[0.0, 1.0]]), 0.0).tolist()
    [[0.0, 1.0]]
    """
    if temperature < 0:
        raise SettingError(f"temperature must be at least 0, got {temperature}")
    if temperature == 0:
        return greedy(table)
    scaled = (table - table.max(axis=1, keepdims=True)) / temperature
    weights = np.exp(scaled)
    return weights / weights.sum(axis=1, keepdims=True)
