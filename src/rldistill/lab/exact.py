"""The exact expected update of every row, by linear solves, and the objective where there is one.

Written from the paper and independently of rldistill.methods: the sampled updates are tested
against this. Source: Czarnecki et al. 2019 (arXiv:1902.02186), equation 1 and table 1. Where the
paper's table and text differ (Teacher V reward: the table prints V_pi_theta(s_t)) the form that
telescopes is used: r_t + V_pi(s_{t+1}) - V_pi(s_t).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, final

import numpy as np

from rldistill.errors import SettingError, ShapeError
from rldistill.lab.mdp import FloatArray, Mdp
from rldistill.lab.rows import ExactRow, get_row
from rldistill.lab.solve import check_policy, next_values, reward_table, values, visits
from rldistill.lab.student import CrossEntropy, LinearLoss, Loss, Student, clamped_log

Update: TypeAlias = Callable[[FloatArray], FloatArray]
Objective: TypeAlias = Callable[[FloatArray], float]

# Below this a teacher's probability counts as this where its logarithm is a reward.
FLOOR = 1e-8


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A student, a teacher and the world they share.

    Attributes:
        mdp: the world.
        teacher: pi [S, A].
        student: the parametrisation of pi_theta.
        loss: l of the rows that leave it open; by default Hx(pi || pi_theta).
        teacher_values: V_pi [S] as the teacher believes it; by default exact.
        floor: the least probability whose logarithm is taken; the teacher is clamped there.

    Raises:
        ShapeError: the student or teacher_values are of another size than the world.
        SettingError: teacher is no policy of this world.
    """

    mdp: Mdp
    teacher: FloatArray
    student: Student
    loss: Loss | None = None
    teacher_values: FloatArray | None = None
    floor: float = FLOOR

    def __post_init__(self) -> None:
        check_policy(self.mdp, self.teacher)
        own = (self.student.num_states, self.student.num_actions)
        if own != self.teacher.shape:
            raise ShapeError(
                f"{self.mdp.name}: the student must have S, A = {self.teacher.shape}, got {own}"
            )
        if self.teacher_values is not None and self.teacher_values.shape != (own[0],):
            raise ShapeError(f"{self.mdp.name}: teacher_values must be [S] = {(own[0],)}")

    @cached_property
    def log_teacher(self) -> FloatArray:
        """log pi [S, A], clamped at log floor."""
        return clamped_log(self.teacher, self.floor)

    @property
    def num_clamped(self) -> int:
        """How many of the teacher's probabilities lie below the floor."""
        return int((self.teacher < self.floor).sum())

    @cached_property
    def value_of_teacher(self) -> FloatArray:
        """V_pi [S]."""
        if self.teacher_values is not None:
            return self.teacher_values
        return values(self.mdp, self.teacher)

    @cached_property
    def visits_of_teacher(self) -> FloatArray:
        """Expected visits per episode of the teacher [S]."""
        return visits(self.mdp, self.teacher)


def exact_update(name: str, problem: Problem) -> Update:
    """The map theta [P] -> E[update] [P]: the direction in which theta moves, per episode.

    Raises:
        SettingError: an unknown row, or a loss given to a row that has its own or none.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), equation 1 and table 1.
    """
    row = checked_row(name, problem)
    return lambda theta: row_update(row, problem, theta)


def objective(name: str, problem: Problem) -> Objective:
    """The function of theta whose gradient the update is, larger is better.

    Raises:
        SettingError: the row has none (Table 1, column "gradient of something"), is unknown, or
            is given a loss that it does not use.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), table 1.
    """
    row = checked_row(name, problem)
    if not row.is_gradient:
        raise SettingError(f"{name} has no objective: {row.why}")
    return lambda theta: row_objective(row, problem, theta)


def checked_row(name: str, problem: Problem) -> ExactRow:
    """The row, if this problem's loss has an effect on it.

    Raises:
        SettingError: an unknown row, or a loss given to a row that has its own or none.
    """
    row = get_row(name)
    if problem.loss is not None and not row.has_loss:
        own = "has its own loss" if row.has_reverse_loss else "has no loss"
        raise SettingError(f"{name} {own}: another loss would change nothing; leave it out")
    return row


def loss_of(row: ExactRow, problem: Problem) -> Loss | None:
    """l of this row, ungated, or None."""
    if row.has_reverse_loss:
        return LinearLoss(-problem.log_teacher)
    if row.has_loss:
        return CrossEntropy(problem.teacher) if problem.loss is None else problem.loss
    return None


def gate(row: ExactRow, problem: Problem, policy: FloatArray) -> FloatArray:
    """[S]: 1 where the loss counts, else 0.

    l counts where V_pi(s) - V_pi_theta(s) > 0.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), proposition 2.
    """
    if not row.gated:
        return np.ones(problem.mdp.num_states)
    own = values(problem.mdp, policy)
    return (problem.value_of_teacher - own > 0).astype(np.float64)


def row_update(row: ExactRow, problem: Problem, theta: FloatArray) -> FloatArray:
    """E_q[sum_t grad log pi_theta(a_t) Rhat_t - grad l(s_t)] at theta [P].

    In the logits of state s the first term is d(s) pi_theta(a | s) (C(s, a) - E_a[C(s, .)]), where
    d are the expected visits and C(s, a) = E[Rhat_t | s_t = s, a_t = a].
    """
    log_policy = problem.student.log_policy(theta)
    policy = np.exp(log_policy)
    own_visits = visits(problem.mdp, policy)
    flow = np.zeros_like(policy)
    if row.credits:
        table = credit(row, problem, log_policy)
        advantage = table - (policy * table).sum(axis=1, keepdims=True)
        flow += own_visits[:, None] * policy * advantage
    loss = loss_of(row, problem)
    if loss is not None:
        weights = problem.visits_of_teacher if row.teacher_acts else own_visits
        weights = weights * gate(row, problem, policy)
        flow -= weights[:, None] * loss.slope(log_policy)
    return problem.student.pull(flow)


def credit(row: ExactRow, problem: Problem, log_policy: FloatArray) -> FloatArray:
    """C(s, a) = E[Rhat_t | s_t = s, a_t = a] [S, A] while the student acts."""
    table = step_credit(row, problem, log_policy)
    if row.one_step:
        return table
    return table + next_values(problem.mdp, values(problem.mdp, np.exp(log_policy), table))


def step_credit(row: ExactRow, problem: Problem, log_policy: FloatArray) -> FloatArray:
    """E[rhat_t | s_t = s, a_t = a] [S, A]."""
    mdp = problem.mdp
    table = row.reward * reward_table(mdp)
    if row.log_teacher:
        table = table + row.log_teacher * problem.log_teacher
    if row.log_student:
        table = table - row.log_student * log_policy
    if row.shaping:
        teacher = problem.value_of_teacher
        table = table + row.shaping * (next_values(mdp, teacher) - teacher[:, None])
    if row.bootstrap:
        table = table + row.bootstrap * next_values(mdp, problem.value_of_teacher)
    loss = loss_of(row, problem)
    if row.credits_next_loss and loss is not None:
        # The loss at t itself is differentiated, not credited: crediting it would count it twice.
        table = table - next_values(mdp, loss.value(log_policy))
    return table


def row_objective(row: ExactRow, problem: Problem, theta: FloatArray) -> float:
    """The objective of Table 1 with its sign turned round, so that larger is better.

    teacher-distill: -E_pi[sum_t l(s_t)]. All others: E_pi_theta[sum_t rhat_t - l(s_t)], where the
    losses that an action is credited with are counted once.
    """
    log_policy = problem.student.log_policy(theta)
    policy = np.exp(log_policy)
    loss = loss_of(row, problem)
    if row.teacher_acts:
        assert loss is not None
        return -float(problem.visits_of_teacher @ loss.value(log_policy))
    table = row.reward * reward_table(problem.mdp) + row.log_teacher * problem.log_teacher
    per_state = (policy * (table - row.log_student * log_policy)).sum(axis=1)
    if loss is not None:
        per_state = per_state - loss.value(log_policy)
    shaping = -row.shaping * float(problem.mdp.start @ problem.value_of_teacher)
    return float(visits(problem.mdp, policy) @ per_state) + shaping
