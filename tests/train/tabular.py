"""Worlds of the lab as trajectories, and tabular policies: the learners on problems solved exactly.

Everything is float64. An observation is the one-hot code of a state; rows after the end of an
episode (valid is False), and the row that a terminated step leads to, hold states drawn at random,
so that whatever leaks from there into an update moves it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats

from rldistill.core import CategoricalHead, NetworkPolicy, PolicyInfo, Trajectory
from rldistill.data.latest import LatestRound
from rldistill.data.replay import Replay
from rldistill.lab.exact import Problem, credit, exact_update, gate, loss_of
from rldistill.lab.mdp import discounted
from rldistill.lab.rows import get_row
from rldistill.lab.solve import values, visits
from rldistill.methods.actor_critic import ActorCritic
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import Learning, Method
from rldistill.methods.terms import align
from rldistill.train.learners import Memory
from rldistill.train.learning import make_learner


class Table(torch.nn.Module):
    """Looks up the row [K] of a state."""

    def __init__(self, table: np.ndarray) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.from_numpy(np.array(table, np.float64)))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.table[observations.argmax(-1)]


def tabular(logits: np.ndarray, state_values: np.ndarray | None = None) -> NetworkPolicy:
    """softmax(logits [S, A]), with V [S] in raw units where it is given."""
    info = PolicyInfo(
        name="tabular",
        framework="tests",
        observation_shape=(len(logits),),
        head=CategoricalHead(logits.shape[1]),
        acting_parameters=logits.size,
        parameters=logits.size,
        value_units="none" if state_values is None else "raw",
    )
    critic = None if state_values is None else Table(state_values).requires_grad_(False)
    return NetworkPolicy(Table(logits), info, critic)


@dataclass(frozen=True)
class Episodes:
    """Whole episodes, padded: states [T + 1, B], the rest [T, B]."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    valid: np.ndarray


def play(problem: Problem, policy: np.ndarray, count: int, rng: np.random.Generator) -> Episodes:
    """`count` whole episodes under a policy [S, A]."""
    mdp = problem.mdp
    state = draw(np.broadcast_to(mdp.start, (count, mdp.num_states)), rng)
    alive = np.ones(count, bool)
    columns: list[tuple[np.ndarray, ...]] = []
    while alive.any():
        action = draw(policy[state], rng)
        effect = mdp.effects[action]
        outcome = draw(mdp.chances[state, effect], rng)
        after = mdp.successors[state, effect, outcome]
        ends = alive & (after < 0)
        columns.append((state, action, mdp.rewards[state, effect, outcome], ends, alive))
        alive = alive & ~ends
        state = np.where(alive, after, rng.integers(0, mdp.num_states, count))
    states, *rest = (np.stack(column) for column in zip(*columns, strict=True))
    return Episodes(np.concatenate([states, state[None]]), *rest)


def draw(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One index per row of chances [B, K]."""
    below = chances.cumsum(-1) < rng.random((len(chances), 1))
    return below.sum(-1).clip(max=chances.shape[-1] - 1)


def trajectory_of(problem: Problem, played: Episodes, teacher: NetworkPolicy) -> Trajectory:
    seen = torch.eye(problem.mdp.num_states)[torch.from_numpy(played.states)]
    terminated = torch.from_numpy(played.terminated)
    with torch.no_grad():
        raw = teacher.raw(seen[:-1].flatten(0, 1)).unflatten(0, seen[:-1].shape[:2])
    return Trajectory(
        observations=seen[:-1],
        actions=torch.from_numpy(played.actions),
        rewards=torch.from_numpy(played.rewards),
        terminated=terminated,
        truncated=torch.zeros_like(terminated),
        valid=torch.from_numpy(played.valid),
        teacher_raw=raw,
        last_observations=seen[-1],
    )


def plain(name: str, gamma: float = 1.0, lam: float = 1.0) -> Method:
    """A row that takes one unclipped step on its round, so small that no weight moves."""
    row = get_method(name)
    settings = replace(
        row.actor_critic, gamma=gamma, lam=lam, clip=0.0, scale_rewards=False, critic_hidden=()
    )
    usual = ActorCritic()
    if not row.is_actor_critic:
        settings = row.actor_critic
    elif row.credit is None:  # no ratio to clip
        settings = replace(settings, clip=usual.clip)
    elif row.credit.one_step:  # no later step to weigh
        settings = replace(settings, lam=usual.lam)
    # A batch as large as any round here; the per-state learner draws its own, with replacement.
    size = 1_000_000 if row.is_actor_critic else 2048
    learning = Learning(learning_rate=1e-300, batch_size=size, reuse=1.0, average=0.0)
    return replace(row, actor_critic=settings, learning=learning)


class Sampler:
    """Draws the update of a row, per episode, as the learners compute it.

    The critic of every column is V_pi_theta: exact for the return and the gate, and for every other
    R_hat one of the baselines that leave the mean alone.
    """

    def __init__(self, problem: Problem, theta: np.ndarray, row: Method) -> None:
        self.problem, self.row = problem, row
        gamma = row.actor_critic.gamma or 1.0
        world = discounted(problem.mdp, gamma)
        logits = theta.reshape(problem.teacher.shape)
        self.teacher = tabular(np.log(problem.teacher), values(world, problem.teacher))
        self.student = tabular(logits)
        self.policy = problem.student.policy(theta)
        alignment = align(row, self.teacher.info.head, self.student.info.head, None)
        generator = torch.Generator().manual_seed(0)
        self.learner = make_learner(row, self.student, self.teacher, alignment, generator)
        state = self.learner.state_dict()
        if "critic" in state:
            own = torch.from_numpy(values(world, self.policy)).float()
            weight = state["critic"]["layers.0.weight"]
            weight.copy_(own.expand_as(weight))
            self.learner.load_state_dict(state)

    def gradient(self, played: Episodes) -> np.ndarray:
        """Minus the update of these episodes, per episode [P]."""
        trajectory = trajectory_of(self.problem, played, self.teacher)
        num_steps = trajectory.num_steps
        self.learner.learn(self.memory_of(trajectory), 1)
        grad = self.student.module.table.grad
        assert grad is not None
        # The learners average over the steps; the theory sums over those of an episode.
        return grad.numpy().ravel() * num_steps / played.valid.shape[1]

    def memory_of(self, trajectory: Trajectory) -> Memory:
        if self.row.is_actor_critic:
            memory = LatestRound()
            memory.put(trajectory)
            return memory
        seen, raw = trajectory.observations.flatten(0, 1), trajectory.teacher_raw.flatten(0, 1)
        replay = Replay(trajectory.num_steps, tuple(seen.shape[1:]), raw.shape[-1])
        replay.add(seen, raw, trajectory.valid.flatten())
        return replay


def expected(name: str, problem: Problem, theta: np.ndarray, gamma: float = 1.0) -> np.ndarray:
    """The lab's update of a row, without or with a discount of the credit (visits are counted)."""
    if gamma == 1.0:
        return exact_update(name, problem)(theta)
    row, world = get_row(name), replace(problem, mdp=discounted(problem.mdp, gamma))
    log_policy = problem.student.log_policy(theta)
    policy = np.exp(log_policy)
    weights = visits(problem.mdp, policy)[:, None]
    flow = np.zeros_like(policy)
    if row.credits:
        table = credit(row, world, log_policy)
        flow += weights * policy * (table - (policy * table).sum(axis=1, keepdims=True))
    loss = loss_of(row, problem)
    if loss is not None:
        flow -= weights * gate(row, world, policy)[:, None] * loss.slope(log_policy)
    return flow.ravel()


def p_value(samples: np.ndarray, mean: np.ndarray) -> float:
    """Of "the samples [N, P] have this mean", by Hotelling's T squared.

    Directions in which nothing varies (the logits of a state are free up to a constant; a state
    that a gate closes) leave no chance: there the mean must be right to rounding.
    """
    count = len(samples)
    gap = samples.mean(0) - mean
    variances, axes = np.linalg.eigh(np.cov(samples.T))
    varies = variances > 1e-10 * max(variances.max(), 1e-10)
    if np.abs(gap @ axes[:, ~varies]).max(initial=0.0) > 1e-5:
        return 0.0
    rank = int(varies.sum())
    squared = count * ((gap @ axes[:, varies]) ** 2 / variances[varies]).sum()
    scaled = squared * (count - rank) / (rank * (count - 1))
    return float(stats.f.sf(scaled, rank, count - rank))


def batches(
    problem: Problem, policy: np.ndarray, shape: tuple[int, int], seed: int
) -> Iterator[Episodes]:
    """shape[0] batches of shape[1] episodes."""
    rng = np.random.default_rng(seed)
    for _ in range(shape[0]):
        yield play(problem, policy, shape[1], rng)
