"""Table 1 a second time, by listing every trajectory: what the exact updates are tested against.

Nothing here comes from rldistill.lab but the numbers that describe a world. Gradients of
log pi_theta are central differences of log pi_theta itself, values are sums over trajectories.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np

from rldistill.lab.exact import Problem

Trajectory = list[tuple[int, int, float, int | None]]  # state, action, reward, next state
STEP = 1e-5


def successors(
    problem: Problem, state: int, action: int
) -> Iterator[tuple[float, float, int | None]]:
    """Chance, reward and next state (None: the end) of each outcome."""
    mdp = problem.mdp
    effect = int(mdp.effects[action])
    for chance, reward, nxt in zip(
        mdp.chances[state, effect],
        mdp.rewards[state, effect],
        mdp.successors[state, effect],
        strict=True,
    ):
        if chance > 0:
            yield float(chance), float(reward), None if nxt < 0 else int(nxt)


def trajectories(
    problem: Problem, policy: np.ndarray, state: int | None = None
) -> Iterator[tuple[float, Trajectory]]:
    """Every whole episode under a policy [S, A], with its chance; from a state or the start."""

    def continue_from(state: int) -> Iterator[tuple[float, Trajectory]]:
        for action in range(policy.shape[1]):
            for chance, reward, nxt in successors(problem, state, action):
                here = policy[state, action] * chance
                step = (state, action, reward, nxt)
                if nxt is None:
                    yield here, [step]
                else:
                    for rest_chance, rest in continue_from(nxt):
                        yield here * rest_chance, [step, *rest]

    firsts = enumerate(problem.mdp.start) if state is None else [(state, 1.0)]
    for first, chance in firsts:
        if chance > 0:
            for rest_chance, rest in continue_from(first):
                yield chance * rest_chance, rest


def value(problem: Problem, policy: np.ndarray, state: int | None) -> float:
    """Expected return from a state; 0 after the end."""
    if state is None:
        return 0.0
    return sum(
        chance * sum(step[2] for step in trajectory)
        for chance, trajectory in trajectories(problem, policy, state)
    )


def policy_of(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """pi_theta [S, A], by its definition."""
    shape = (problem.student.num_states, problem.student.num_actions)
    features = problem.student.features
    logits = theta.reshape(shape) if features is None else np.einsum("sap,p->sa", features, theta)
    return np.array([np.exp(row) / np.exp(row).sum() for row in logits])


def slopes(function: Callable[[np.ndarray], np.ndarray | float], theta: np.ndarray) -> np.ndarray:
    """d function / d theta by central differences, last axis P."""
    columns = []
    for index in range(theta.size):
        step = np.zeros_like(theta)
        step[index] = STEP
        rise = np.asarray(function(theta + step)) - np.asarray(function(theta - step))
        columns.append(rise / (2 * STEP))
    return np.stack(columns, axis=-1)


def cross_entropy(teacher: np.ndarray, student: np.ndarray) -> np.ndarray:
    """Hx(teacher || student) per state."""
    return np.array(
        [
            -sum(p * math.log(q) for p, q in zip(row, other, strict=True) if p > 0)
            for row, other in zip(teacher, student, strict=True)
        ]
    )


def rhat(name: str, problem: Problem, policy: np.ndarray, trajectory: Trajectory, i: int) -> float:
    """The reward term of step i, as Table 1 and its neighbours say, written out by name."""
    state, action, reward, nxt = trajectory[i]
    base = name.removesuffix("+R")
    own = reward if name.endswith("+R") else 0.0
    teacher = problem.teacher
    if base in ("teacher-distill", "on-policy-distill", "value-gated"):
        return own
    if base == "entropy-regularised":
        return own + math.log(teacher[state, action])
    if base == "kl-regularised":
        return own + math.log(teacher[state, action]) - math.log(policy[state, action])
    if base == "n-distill":
        return own - (0.0 if nxt is None else loss_at(problem, policy)[nxt])
    if base == "exp-entropy-regularised":
        if nxt is None:
            return own
        following = trajectory[i + 1]
        return own + math.log(teacher[following[0], following[1]])
    if base == "teacher-v-reward":
        return reward + value(problem, teacher, nxt) - value(problem, teacher, state)
    assert base == "baseline"
    return reward


def loss_at(problem: Problem, policy: np.ndarray) -> np.ndarray:
    """l per state: the problem's own, else the cross-entropy to the teacher."""
    if problem.loss is not None:
        return problem.loss.value(np.log(policy))
    return cross_entropy(problem.teacher, policy)


def losses(name: str, problem: Problem, theta: np.ndarray, policy: np.ndarray) -> np.ndarray | None:
    """l of a row per state at theta; the gate, if any, is that of `policy`."""
    base, student = name.removesuffix("+R"), policy_of(problem, theta)
    if base == "exp-entropy-regularised":
        return cross_entropy(student, problem.teacher)
    if base in ("teacher-distill", "on-policy-distill", "n-distill"):
        return loss_at(problem, student)
    if base == "value-gated":
        states = range(problem.mdp.num_states)
        is_open = [value(problem, problem.teacher, s) > value(problem, policy, s) for s in states]
        return loss_at(problem, student) * np.array(is_open)
    return None


def expected_update(name: str, problem: Problem, theta: np.ndarray) -> np.ndarray:
    """E_q[sum_t grad log pi_theta(a_t) Rhat_t - grad l(s_t)] by listing every trajectory [P]."""
    policy = policy_of(problem, theta)
    scores = slopes(lambda point: np.log(policy_of(problem, point)), theta)
    loss_slopes = None
    if losses(name, problem, theta, policy) is not None:
        loss_slopes = slopes(lambda point: losses(name, problem, point, policy), theta)
    control = problem.teacher if name == "teacher-distill" else policy
    total = np.zeros_like(theta)
    for chance, trajectory in trajectories(problem, control):
        for t, (state, action, reward, nxt) in enumerate(trajectory):
            if name in ("td-teacher-v", "td-v0"):
                ahead = value(problem, problem.teacher, nxt) if name == "td-teacher-v" else 0.0
                credit = reward + ahead
            else:
                last = range(t, len(trajectory))
                credit = sum(rhat(name, problem, policy, trajectory, i) for i in last)
            total += chance * credit * scores[state, action]
            if loss_slopes is not None:
                total -= chance * loss_slopes[state]
    return total
