"""Rows of other papers that are points of the same landscape."""

from dataclasses import replace
from typing import Final

from rldistill.methods.credit import Credit
from rldistill.methods.landscape import GAP, PASSES
from rldistill.methods.method import STUDENT, ActorCritic, Control, Learning, Method
from rldistill.methods.schedules import Constant, Geometric, Linear, Weaning

SCHMITT = "Schmitt et al. 2018 (Kickstarting, arXiv:1803.03835)"

_kickstarting = Method(
    name="kickstarting",
    summary="Reward, and cross-entropy whose weight falls linearly from 1 to 0 over 60 rounds.",
    source=SCHMITT + ", section 3; linear schedule",
    control=STUDENT,
    loss="cross_entropy",
    loss_weight=Linear(1.0, 0.0, 60),
    teacher_temperature=GAP,
    memory=0,
    learning=PASSES,
    credit=Credit(reward=1.0),
    actor_critic=ActorCritic(),
)

NEIGHBOURS: Final = (
    _kickstarting,
    replace(
        _kickstarting,
        name="kickstarting-constant",
        summary="Reward, and cross-entropy with the constant weight 1: on-policy-distill+R.",
        source=SCHMITT + ", constant schedule",
        loss_weight=Constant(1.0),
    ),
    replace(
        _kickstarting,
        name="kickstarting-geometric",
        summary="Reward, and cross-entropy with the weight 0.95^i in round i.",
        source=SCHMITT + "; the schedule of VPT (Baker et al. 2022, arXiv:2206.11795)",
        loss_weight=Geometric(0.95),
    ),
    replace(
        _kickstarting,
        name="kickstarting-performance",
        summary="Reward, and cross-entropy weighing 1 - the student's fraction of the teacher.",
        source=SCHMITT + "; weaning of Agarwal et al. 2022 (arXiv:2206.01626), appendix A.3",
        loss_weight=Weaning(1.0),
    ),
    replace(
        _kickstarting,
        name="ppd",
        summary="PPO on the reward, minus KL(teacher || student) max(ratio, 0.8), weight 1.",
        source="Spigler 2025 (Proximal Policy Distillation, arXiv:2407.15134), equation 4",
        loss="kl",
        loss_weight=Constant(1.0),
        proximal=True,
    ),
    Method(
        name="rsl-rl",
        summary="The student acts by sampling; squared error between mean actions, one pass.",
        source="rsl_rl 5.4.2, algorithms/distillation.py; its gradient is cut after 15 steps, "
        "which only a recurrent student would notice",
        control=STUDENT,
        loss="mse",
        memory=0,
        learning=Learning(learning_rate=1e-3, batch_size=512, reuse=1.0),
        actions="continuous",
    ),
    Method(
        name="gkd",
        summary="Half of the steps by the student; Jensen-Shannon divergence, beta 1/2.",
        source="Agarwal et al. 2024 (GKD, arXiv:2306.13649), algorithm 1 with lambda 0.5; whole "
        "sequences are mixed there, single steps here",
        control=Control(teacher_share=Constant(0.5)),
        loss="js",
        teacher_temperature=GAP,
        memory=0,
    ),
)
