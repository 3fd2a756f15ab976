"""The rows of Table 1 of Czarnecki et al. 2019, as the lab defines them: data, no arithmetic.

Every update is the direction in which the parameters move (the paper prints its opposite):

    E_q [ sum_t  grad log pi_theta(a_t | s_t) Rhat_t  -  grad l(s_t) ]

    Rhat_t = sum_{i >= t} rhat_i
    rhat_i = reward r_i + log_teacher log pi(a_i | s_i) - log_student log pi_theta(a_i | s_i)
             + shaping (V_pi(s_{i+1}) - V_pi(s_i)) - [credits_next_loss] l(s_{i+1})

One-step rows credit a_t with r_t + bootstrap V_pi(s_{t+1}) alone. V(end) = 0 and l(end) = 0.
Source: arXiv:1902.02186, table 1 and sections 3 to 5.
"""

from dataclasses import dataclass, replace
from typing import Final, final

from rldistill.errors import SettingError, did_you_mean


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRow:
    """One row.

    Attributes:
        name: as in the method table.
        summary: one sentence.
        is_gradient: whether the paper (or, for rows it does not list, the lab) says that the update
            is the gradient of an objective for every problem.
        why: one sentence.
        teacher_acts: q = pi; else q = pi_theta.
        has_loss: l is the problem's loss: Hx(pi || pi_theta) unless another is given.
        has_reverse_loss: l = Hx(pi_theta || pi).
        gated: l counts only where V_pi(s) > V_pi_theta(s).
        credits_next_loss: rhat_i contains -l(s_{i+1}).
        reward: weight of the environment's reward.
        log_teacher: weight of log pi(a_i | s_i).
        log_student: weight of -log pi_theta(a_i | s_i).
        shaping: weight of V_pi(s_{i+1}) - V_pi(s_i).
        bootstrap: weight of V_pi(s_{t+1}) in a one-step row.
        one_step: a_t is credited with its own step alone.
    """

    name: str
    summary: str
    is_gradient: bool
    why: str
    teacher_acts: bool = False
    has_loss: bool = False
    has_reverse_loss: bool = False
    gated: bool = False
    credits_next_loss: bool = False
    reward: float = 0.0
    log_teacher: float = 0.0
    log_student: float = 0.0
    shaping: float = 0.0
    bootstrap: float = 0.0
    one_step: bool = False

    @property
    def credits(self) -> bool:
        """Whether any action is credited with anything over time."""
        weights = (self.reward, self.log_teacher, self.log_student, self.shaping, self.bootstrap)
        return self.credits_next_loss or any(weights)

    @property
    def needs_teacher_value(self) -> bool:
        """Whether V_pi is used."""
        return self.gated or bool(self.shaping or self.bootstrap)


MOVES = (
    "the student's own visits weigh the losses, and nothing credits an action for the states it "
    "leads to (theorem 1)"
)
ONE_STEP = "an action is credited with one step only, and its influence on later visits is ignored"

_TABLE = (
    ExactRow(
        name="teacher-distill",
        summary="The teacher acts; cross-entropy to it in every state.",
        is_gradient=True,
        why="the teacher's visits do not depend on the student: each loss has a fixed weight",
        teacher_acts=True,
        has_loss=True,
    ),
    ExactRow(
        name="on-policy-distill",
        summary="The student acts; cross-entropy to the teacher in every state.",
        is_gradient=False,
        why=MOVES,
        has_loss=True,
    ),
    ExactRow(
        name="entropy-regularised",
        summary="The student acts and is rewarded with log pi(a_t | s_t) of the teacher.",
        is_gradient=True,
        why="it is a policy gradient with the reward log pi(a_t | s_t)",
        log_teacher=1.0,
    ),
    ExactRow(
        name="n-distill",
        summary="On-policy distillation; each action is also credited with the losses after it.",
        is_gradient=True,
        why="the credit for later losses completes the gradient of their sum (theorem 2)",
        has_loss=True,
        credits_next_loss=True,
    ),
    ExactRow(
        name="exp-entropy-regularised",
        summary="Entropy-regularised, with the loss of the step itself in closed form.",
        is_gradient=True,
        why="in expectation it is the entropy-regularised update, computed with less noise",
        has_reverse_loss=True,
        credits_next_loss=True,
    ),
    ExactRow(
        name="kl-regularised",
        summary="Rewarded with log pi(a_t | s_t) - log pi_theta(a_t | s_t).",
        is_gradient=True,
        why="it is a policy gradient of -KL(pi_theta || pi) over whole episodes; the reward's own "
        "dependence on theta averages to 0",
        log_teacher=1.0,
        log_student=1.0,
    ),
    ExactRow(
        name="teacher-v-reward",
        summary="Rewarded with r_t + V_pi(s_{t+1}) - V_pi(s_t) (V_pi twice, not as printed).",
        is_gradient=True,
        why="the values telescope: what is left is a policy gradient of the return",
        reward=1.0,
        shaping=1.0,
    ),
    ExactRow(
        name="td-teacher-v",
        summary="Each action is credited with r_t + V_pi(s_{t+1}) alone.",
        is_gradient=False,
        why=ONE_STEP,
        reward=1.0,
        bootstrap=1.0,
        one_step=True,
    ),
    ExactRow(
        name="td-v0",
        summary="Each action is credited with r_t alone: a bootstrap from V = 0.",
        is_gradient=False,
        why=ONE_STEP,
        reward=1.0,
        one_step=True,
    ),
    ExactRow(
        name="value-gated",
        summary="On-policy distillation only where the teacher's value is above the student's.",
        is_gradient=False,
        why=MOVES,
        has_loss=True,
        gated=True,
    ),
    ExactRow(
        name="baseline",
        summary="No teacher: the policy gradient of the return.",
        is_gradient=True,
        why="it is the policy gradient",
        reward=1.0,
    ),
)

# Why there is no +R for these.
_NO_REWARD: Final = {
    "teacher-distill": "the teacher acts, so that the reward would credit the teacher's actions",
    "teacher-v-reward": "it credits the reward already",
    "td-teacher-v": "it credits the reward already",
    "td-v0": "it credits the reward already",
    "baseline": "it credits the reward already",
}

ROWS: dict[str, ExactRow] = {row.name: row for row in _TABLE} | {
    f"{row.name}+R": replace(
        row,
        name=f"{row.name}+R",
        summary=f"{row.summary} Plus the return.",
        reward=1.0,
    )
    for row in _TABLE
    if row.name not in _NO_REWARD
}


def get_row(name: str) -> ExactRow:
    """The row of that name.

    Raises:
        SettingError: there is none; near names are given, or why this one has no +R.

    >>> get_row("n-distill+R").reward
    1.0
    """
    if name in ROWS:
        return ROWS[name]
    base = name.removesuffix("+R")
    if base != name and base in _NO_REWARD:
        raise SettingError(f"{base} has no +R: {_NO_REWARD[base]}; use {base}")
    raise SettingError(
        f"unknown method {name!r}; the lab knows: {', '.join(ROWS)}.{did_you_mean(name, ROWS)}"
    )
