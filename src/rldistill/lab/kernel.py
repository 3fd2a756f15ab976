"""The inner loops of the simulations, in the part of Python that numba compiles.

Without numba the same functions run as plain Python; see rldistill.maths.compiled.

Who calls this: rldistill.lab.simulate (students) and rldistill.lab.teachers (Q-learning).
"""

import math
from typing import Final, NamedTuple

import numpy as np

from rldistill.lab.mdp import END, FloatArray, IntArray, Mdp
from rldistill.maths.compiled import fast

# Who acts.
STUDENT: Final = 0
TEACHER: Final = 1
UNIFORM: Final = 2
# Probabilities that a softmax rounds to 0 count as this in a logarithm.
LEAST: Final = 1e-300


class World(NamedTuple):
    """The arrays of an Mdp: start [S], successors, chances and rewards [S, B, K], effects [A]."""

    start: FloatArray
    successors: IntArray
    chances: FloatArray
    rewards: FloatArray
    effects: IntArray


class Guide(NamedTuple):
    """A teacher: policy [S, A], clamped logarithms [S, A], values [S + 1] that end with a 0."""

    policy: FloatArray
    logs: FloatArray
    values: FloatArray


class Rule(NamedTuple):
    """What a student does with a step: the weights of an ExactRow, and how it learns."""

    actor: int
    reward: float
    log_teacher: float
    log_student: float
    shaping: float
    bootstrap: float
    credits_next_loss: bool
    has_loss: bool
    has_reverse_loss: bool
    gated: bool
    looks_ahead: bool
    online: bool
    baseline: bool
    learning_rate: float
    critic_rate: float


class Memory(NamedTuple):
    """A student: what it has learnt, and its running episode of at most T steps.

    theta [S, A] logits; critic [S + 1] value of what the rule credits, return_critic [S + 1] value
    of the reward (their last entries stay 0); states, actions and rewards [T + 1]; policies
    [T + 1, A] as they were when the student acted.
    """

    theta: FloatArray
    critic: FloatArray
    return_critic: FloatArray
    states: IntArray
    actions: IntArray
    rewards: FloatArray
    policies: FloatArray


@fast
def draw(chances: FloatArray, level: float) -> int:
    """The index at which the chances, summed up, pass level times their sum."""
    left = level * chances.sum()
    last = 0
    for index in range(chances.size):
        if chances[index] > 0.0:
            last = index
            left -= chances[index]
            if left < 0.0:
                break
    return last


@fast
def act(guide: Guide, rule: Rule, memory: Memory, t: int, rng: np.random.Generator) -> None:
    """Look up pi_theta in the state at t, and choose an action as rule.actor says."""
    state = memory.states[t]
    logits = memory.theta[state]
    policy = memory.policies[t]
    top = logits.max()
    total = 0.0
    for action in range(logits.size):
        policy[action] = math.exp(logits[action] - top)
        total += policy[action]
    for action in range(logits.size):
        policy[action] /= total
    if rule.actor == STUDENT:
        memory.actions[t] = draw(policy, rng.random())
    elif rule.actor == TEACHER:
        memory.actions[t] = draw(guide.policy[state], rng.random())
    else:
        memory.actions[t] = int(rng.random() * logits.size)


@fast
def step_credit(guide: Guide, rule: Rule, memory: Memory, t: int) -> float:
    """rhat_t of rldistill.lab.rows, sampled."""
    state, action, successor = memory.states[t], memory.actions[t], memory.states[t + 1]
    credit = rule.reward * memory.rewards[t]
    credit += rule.log_teacher * guide.logs[state, action]
    if rule.log_student != 0.0:
        credit -= rule.log_student * math.log(max(memory.policies[t, action], LEAST))
    # successor END is -1: the last entry, which is 0.
    credit += rule.shaping * (guide.values[successor] - guide.values[state])
    credit += rule.bootstrap * guide.values[successor]
    if rule.credits_next_loss and successor != END:
        if rule.has_loss:
            for other in range(memory.theta.shape[1]):
                chance = guide.policy[successor, other]
                if chance > 0.0:
                    credit += chance * math.log(max(memory.policies[t + 1, other], LEAST))
        else:
            credit += guide.logs[successor, memory.actions[t + 1]]
    return credit


@fast
def move(guide: Guide, rule: Rule, memory: Memory, t: int, signal: float) -> None:
    """theta += rate (grad log pi_theta(a_t) signal - grad l(s_t)), at the policy of step t."""
    state = memory.states[t]
    logits, policy, rate = memory.theta[state], memory.policies[t], rule.learning_rate
    if signal != 0.0:
        for action in range(logits.size):
            logits[action] -= rate * signal * policy[action]
        logits[memory.actions[t]] += rate * signal
    if rule.has_loss and (not rule.gated or guide.values[state] > memory.return_critic[state]):
        for action in range(logits.size):
            logits[action] += rate * (guide.policy[state, action] - policy[action])
    if rule.has_reverse_loss:
        mean = 0.0
        for action in range(logits.size):
            mean += policy[action] * guide.logs[state, action]
        for action in range(logits.size):
            logits[action] += rate * policy[action] * (guide.logs[state, action] - mean)


@fast
def learn_step(guide: Guide, rule: Rule, memory: Memory, t: int) -> None:
    """Temporal differences: learn from step t alone, as soon as the next action is known."""
    state, successor = memory.states[t], memory.states[t + 1]
    ahead = float(memory.critic[successor]) if rule.looks_ahead else 0.0
    signal = step_credit(guide, rule, memory, t) + ahead - float(memory.critic[state])
    move(guide, rule, memory, t, signal)
    memory.critic[state] += rule.critic_rate * signal
    error = memory.rewards[t] + memory.return_critic[successor] - memory.return_critic[state]
    memory.return_critic[state] += rule.critic_rate * error


@fast
def learn_episode(guide: Guide, rule: Rule, memory: Memory, num_steps: int) -> None:
    """Monte Carlo: learn from a whole episode, the last step first."""
    credit_to_go = 0.0
    reward_to_go = 0.0
    for t in range(num_steps - 1, -1, -1):
        state = memory.states[t]
        credit = step_credit(guide, rule, memory, t)
        credit_to_go = credit + credit_to_go if rule.looks_ahead else credit
        expected = float(memory.critic[state]) if rule.baseline else 0.0
        move(guide, rule, memory, t, credit_to_go - expected)
        reward_to_go += memory.rewards[t]
        memory.critic[state] += rule.critic_rate * (credit_to_go - memory.critic[state])
        error = reward_to_go - memory.return_critic[state]
        memory.return_critic[state] += rule.critic_rate * error


@fast
def run_episodes(
    world: World,
    guide: Guide,
    rule: Rule,
    memory: Memory,
    rng: np.random.Generator,
    num_episodes: int,
) -> int:
    """Let a student act and learn; returns how many episodes were cut at T steps."""
    num_cut = 0
    for _ in range(num_episodes):
        t = 0
        memory.states[0] = draw(world.start, rng.random())
        act(guide, rule, memory, 0, rng)
        while memory.states[t] != END:
            state, effect = memory.states[t], world.effects[memory.actions[t]]
            outcome = draw(world.chances[state, effect], rng.random())
            memory.rewards[t] = world.rewards[state, effect, outcome]
            successor = world.successors[state, effect, outcome]
            if successor != END and t + 2 == memory.states.size:
                successor = END
                num_cut += 1
            memory.states[t + 1] = successor
            if successor != END:
                act(guide, rule, memory, t + 1, rng)
            if rule.online:
                learn_step(guide, rule, memory, t)
            t += 1
        if not rule.online:
            learn_episode(guide, rule, memory, t)
    return num_cut


@fast
def run_q_learning(
    world: World,
    table: FloatArray,
    rng: np.random.Generator,
    num_steps: int,
    epsilon: float,
    rate: float,
) -> None:
    """Epsilon-greedy Q-learning with ties broken at random; table [S + 1, B] changes in place."""
    num_effects = table.shape[1]
    state = draw(world.start, rng.random())
    ties = np.zeros(num_effects)
    for _ in range(num_steps):
        best = table[state].max()
        explores = rng.random() < epsilon
        for effect in range(num_effects):
            ties[effect] = 1.0 if explores or table[state, effect] == best else 0.0
        effect = draw(ties, rng.random())
        outcome = draw(world.chances[state, effect], rng.random())
        successor = world.successors[state, effect, outcome]
        # The last row is END, where everything is worth 0.
        target = world.rewards[state, effect, outcome] + table[successor].max()
        table[state, effect] += rate * (target - table[state, effect])
        state = draw(world.start, rng.random()) if successor == END else successor


def world_arrays(mdp: Mdp) -> World:
    """The arrays of an Mdp, contiguous and of one type each, so that there is one compilation."""
    return World(
        np.ascontiguousarray(mdp.start, dtype=np.float64),
        np.ascontiguousarray(mdp.successors, dtype=np.int64),
        np.ascontiguousarray(mdp.chances, dtype=np.float64),
        np.ascontiguousarray(mdp.rewards, dtype=np.float64),
        np.ascontiguousarray(mdp.effects, dtype=np.int64),
    )
