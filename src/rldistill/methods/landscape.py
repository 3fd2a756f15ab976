"""Rows of Czarnecki et al. 2019 that credit actions over time, and the gate of proposition 2.

All act with the student, learn from the latest round and train a critic for what they credit. +R
adds the environment's reward to the credit.
"""

from dataclasses import replace
from typing import Final

from rldistill.methods.credit import Credit
from rldistill.methods.method import STUDENT, ActorCritic, Gate, Learning, Method, Temperature

PAPER = "Czarnecki et al. 2019 (arXiv:1902.02186)"
# A tenth of the mean action gap: sharp enough that the greedy action carries the weight, soft
# enough that near-ties stay near-ties.
GAP = Temperature(q_values=0.1, relative=True)
# Four passes of minibatches over each round, as PPO does; gradients bounded.
PASSES = Learning(learning_rate=1e-3, batch_size=512, reuse=4.0, max_grad_norm=0.5)

_base = Method(
    name="entropy-regularised",
    summary="The student acts and is credited with log pi(a) of the teacher, and with no loss.",
    source=PAPER + ", table 1",
    control=STUDENT,
    loss=None,
    teacher_temperature=GAP,
    memory=0,
    learning=PASSES,
    credit=Credit(log_teacher=1.0),
    actor_critic=ActorCritic(),
)
_on_policy = replace(
    _base,
    name="on-policy-distill+R",
    summary="Cross-entropy on the student's states, and the policy gradient of the reward.",
    source=PAPER + ", section 4 (not the gradient of any objective)",
    loss="cross_entropy",
    credit=Credit(reward=1.0),
)
_n_distill = replace(
    _base,
    name="n-distill",
    summary="On-policy distillation; actions are credited with the losses that follow them.",
    source=PAPER + ", table 1 and theorem 2",
    loss="cross_entropy",
    credit=Credit(next_loss=1.0),
)
_expected = replace(
    _base,
    name="exp-entropy-regularised",
    summary="Entropy-regularised with the loss of each step in closed form: less noise.",
    source=PAPER + ", table 1: the student has no entropy term and ends deterministic",
    loss="reverse_cross_entropy",
    credit=Credit(next_loss=1.0),
)
_kl = replace(
    _base,
    name="kl-regularised",
    summary="Credited with log pi(a) - log pi_theta(a): the KL of whole episodes.",
    source=PAPER + ", figure 5",
    credit=Credit(log_teacher=1.0, log_student=1.0),
)
_gated = replace(
    _base,
    name="value-gated",
    summary="On-policy distillation where the teacher's value is above the student's.",
    source=PAPER + ", proposition 2 ('V cond')",
    loss="cross_entropy",
    credit=None,
    gate=Gate(),
)


def with_reward(row: Method, name: str = "", source: str = "") -> Method:
    """The row "+R": the reward is credited too."""
    credit = Credit(reward=1.0) if row.credit is None else replace(row.credit, reward=1.0)
    return replace(
        row,
        name=name or f"{row.name}+R",
        summary=row.summary.removesuffix(".") + ", plus the reward.",
        source=source or f"{PAPER}, section 4 (+R)",
        credit=credit,
    )


LANDSCAPE: Final = (
    _on_policy,
    _base,
    with_reward(_base),
    _n_distill,
    with_reward(_n_distill),
    _expected,
    with_reward(_expected),
    _kl,
    with_reward(_kl),
    _gated,
    with_reward(_gated),
    replace(
        _base,
        name="teacher-v-reward",
        summary="Credited with r + gamma V_pi(s') - V_pi(s): the teacher's value shapes.",
        source=PAPER + ", table 1, with V_pi(s) as in the text: the printed V_pi_theta(s) does not "
        "telescope",
        teacher_temperature=Temperature(),
        credit=Credit(reward=1.0, shaping=1.0),
    ),
    replace(
        _base,
        name="td-teacher-v",
        summary="Each action is credited with r + gamma V_pi(s') alone.",
        source=PAPER + ", proposition 3 (TD + V_pi)",
        teacher_temperature=Temperature(),
        credit=Credit(reward=1.0, bootstrap=1.0, one_step=True),
    ),
    replace(
        _base,
        name="td-v0",
        summary="Each action is credited with its own reward alone.",
        source=PAPER + ", figure 5 (TD + V_0)",
        teacher_temperature=Temperature(),
        credit=Credit(reward=1.0, one_step=True),
    ),
    replace(
        _base,
        name="baseline",
        summary="No teacher: the policy gradient of the reward (PPO), to compare with.",
        source="Schulman et al. 2017 (arXiv:1707.06347), equation 9",
        teacher_temperature=Temperature(),
        credit=Credit(reward=1.0),
    ),
)
