"""Rows for students that are grown from labelled states: trees and rule lists."""

from dataclasses import replace
from typing import Final

from rldistill.methods.learner_settings import Growing
from rldistill.methods.method import TEACHER, Control, Method
from rldistill.methods.schedules import FirstRounds

BASTANI = "Bastani, Pu and Solar-Lezama 2018 (VIPER, arXiv:1805.08328)"

_viper = Method(
    name="viper",
    summary="Grows a tree each round; the teacher acts in the first round only; a state counts by "
    "what a wrong action may cost; the best tree is found by playing.",
    source=BASTANI + ", algorithm 1, with the mean weight in place of draws below 100,000 states",
    control=Control(teacher_share=FirstRounds(1), student_samples=False),
    loss="nll",
    learner=Growing(weighted=True),
)

GROWN: Final = (
    _viper,
    replace(
        _viper,
        name="viper-unweighted",
        summary="As viper, every state counts the same: DAgger for trees.",
        source=BASTANI + ", algorithm 1 without its weights",
        learner=Growing(weighted=False),
    ),
    replace(
        _viper,
        name="cart",
        summary="Grows a tree each round on the teacher's own states; the teacher alone acts.",
        source=BASTANI + ", what it is compared with: supervised learning on the teacher's states",
        control=TEACHER,
        learner=Growing(weighted=False),
    ),
)
