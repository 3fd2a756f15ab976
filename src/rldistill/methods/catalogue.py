"""The method table: every row by name."""

from dataclasses import replace

from rldistill.errors import SettingError, did_you_mean
from rldistill.methods.grown import GROWN
from rldistill.methods.landscape import GAP, LANDSCAPE
from rldistill.methods.method import STUDENT, TEACHER, Control, Learning, Method
from rldistill.methods.neighbours import NEIGHBOURS
from rldistill.methods.own_learners import OWN_LEARNERS
from rldistill.methods.schedules import FirstRounds, Geometric, Linear

RUSU = "Rusu et al. 2016 (arXiv:1511.06295), section 3"
CZARNECKI = "Czarnecki et al. 2019 (arXiv:1902.02186), table 1"
ROSS = "Ross, Gordon and Bagnell 2011 (arXiv:1011.0686), algorithm 3.1"

_rusu = Method(
    name="rusu-kl",
    summary="The teacher acts with epsilon 0.05; KL(teacher || student), tau 0.01 on Q-values.",
    source=RUSU,
    control=replace(TEACHER, epsilon=0.05),
    loss="kl",
    # Ten hours at 15 steps/s, and five hundred hours of play.
    memory=540_000,
    published_steps=27_000_000,
    # 10,000 updates per 54,000 steps, a tenth of both at a time: an hour of pixels need not be held
    # twice. The paper does not state the size of a batch; DQN's is 32. The last weights count.
    round_steps=5_400,
    learning=Learning(
        optimiser="rmsprop",
        learning_rate=1e-3,
        batch_size=32,
        reuse=1_000 * 32 / 5_400,
        average=0.0,
    ),
)
_dagger = Method(
    name="dagger",
    summary="The teacher acts in the first round only; all labels are kept and learnt from.",
    source=ROSS + ", beta_i = 1[i = 1], with soft labels",
    control=Control(teacher_share=FirstRounds(1), student_samples=False),
    loss="kl",
    teacher_temperature=GAP,
)

ROWS: dict[str, Method] = {
    row.name: row
    for row in (
        Method(
            name="teacher-distill",
            summary="The teacher acts; cross-entropy on its states.",
            source=CZARNECKI + ", row 1",
            control=TEACHER,
            loss="cross_entropy",
            teacher_temperature=GAP,
        ),
        Method(
            name="on-policy-distill",
            summary="The student acts and learns from each state of the latest round.",
            source=CZARNECKI + ", row 2 (not the gradient of any objective)",
            control=STUDENT,
            loss="cross_entropy",
            teacher_temperature=GAP,
            memory=0,
        ),
        _rusu,
        replace(
            _rusu,
            name="rusu-nll",
            summary="The teacher acts with epsilon 0.05; log-likelihood of its greedy action.",
            loss="nll",
        ),
        replace(
            _rusu,
            name="rusu-mse",
            summary="The teacher acts with epsilon 0.05; squared error on its Q-values.",
            loss="mse",
        ),
        replace(
            _rusu,
            name="rusu-kl-relative",
            summary="As rusu-kl, with tau a tenth of the teacher's action gap: no scale of Q.",
            source=RUSU + "; the temperature is ours",
            teacher_temperature=GAP,
        ),
        _dagger,
        replace(
            _dagger,
            name="dagger-geometric",
            summary="The teacher acts in a share 0.5^i of round i's steps; all labels are kept.",
            source=ROSS + ", beta_i = 0.5^(i-1)",
            control=Control(teacher_share=Geometric(0.5), student_samples=False),
        ),
        replace(
            _dagger,
            name="dagger-linear",
            summary="The teacher's share falls linearly to 0 over 15 rounds; all labels are kept.",
            source=ROSS + ", linear beta over 15 rounds",
            control=Control(teacher_share=Linear(1.0, 0.0, 15), student_samples=False),
        ),
        *LANDSCAPE,
        *NEIGHBOURS,
        *OWN_LEARNERS,
        *GROWN,
    )
}
DEFAULT = "on-policy-distill"
# For trees and rule lists, which no gradient reaches.
DEFAULT_GROWN = "viper"


def get_method(name: str) -> Method:
    """The row of that name.

    Raises:
        SettingError: there is none; near names are given.

    >>> get_method("rusu-kl").teacher_temperature.q_values
    0.01
    """
    if name not in ROWS:
        raise SettingError(
            f"unknown method {name!r}; known: {', '.join(ROWS)}." + did_you_mean(name, ROWS)
        )
    return ROWS[name]
