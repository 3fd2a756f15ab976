"""Rows that need a learner of their own; how each departs from its paper is in docs/methods.md."""

from dataclasses import replace
from typing import Final

from rldistill.methods.credit import Credit
from rldistill.methods.landscape import GAP, PASSES
from rldistill.methods.learner_settings import (
    FeatureRegression,
    Peer,
    Prior,
    QLearning,
    regularised,
)
from rldistill.methods.method import STUDENT, Control, Learning, Method, Temperature
from rldistill.methods.schedules import Constant, FirstRounds, Linear, Weaning

_to_prior, _to_entropy = regularised(alpha=0.5, beta=5.0)

OWN_LEARNERS: Final = (
    Method(
        name="actor-mimic",
        summary="The student acts, epsilon 0.1; cross-entropy, and regression on hidden features.",
        source="Parisotto et al. 2016 (Actor-Mimic, arXiv:1511.06342), equations 4 to 6; tau 1",
        control=Control(teacher_share=Constant(0.0), epsilon=0.1, student_samples=False),
        loss="cross_entropy",
        teacher_temperature=Temperature(q_values=1.0),
        memory=100_000,
        learning=Learning(learning_rate=1e-3),
        learner=FeatureRegression(weight=0.01),
    ),
    Method(
        name="qdagger",
        summary="Q-learning with n-step returns, and a loss to the teacher that fades; the teacher "
        "acts in the first 10 rounds.",
        source="Agarwal et al. 2022 (QDagger, arXiv:2206.01626), equation 3 and appendix A.3",
        control=Control(teacher_share=FirstRounds(10), epsilon=0.01, student_samples=False),
        loss="cross_entropy",
        loss_weight=Weaning(3.0, rounds=150),
        teacher_temperature=replace(GAP, q_values=1.0),
        memory=1_000_000,
        learning=Learning(learning_rate=1e-3, batch_size=128, reuse=8.0, max_grad_norm=10.0),
        learner=QLearning(),
        actions="discrete",
    ),
    Method(
        name="dual",
        summary="Student and peer take turns on the reward and learn from whoever has the higher "
        "value; the teacher kickstarts the peer alone.",
        source="Lai et al. 2020 (Dual Policy Distillation, arXiv:2006.04061), section 3.3; with KL",
        control=STUDENT,
        loss="kl",
        loss_weight=Linear(1.0, 0.0, 60),
        teacher_temperature=GAP,
        memory=0,
        learning=PASSES,
        credit=Credit(reward=1.0),
        learner=Peer(alpha=1.0),
    ),
    Method(
        name="distral",
        summary="Reward, and log pi_0 of a prior that is fitted to the student and the teacher.",
        source="Teh et al. 2017 (Distral, arXiv:1707.04175), equation 1, one column, alpha 0.5",
        control=STUDENT,
        loss="cross_entropy",
        teacher_temperature=GAP,
        memory=0,
        learning=PASSES,
        credit=Credit(reward=1.0, log_teacher=_to_prior, log_student=_to_entropy),
        learner=Prior(),
    ),
)
