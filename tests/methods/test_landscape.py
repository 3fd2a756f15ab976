"""The rows with credit, against Table 1 of Czarnecki et al. 2019 and the neighbours' papers."""

import pytest

from rldistill.lab.rows import ROWS as EXACT
from rldistill.methods.catalogue import ROWS
from rldistill.methods.credit import Credit
from rldistill.methods.landscape import LANDSCAPE, with_reward
from rldistill.methods.method import STUDENT, Gate
from rldistill.methods.neighbours import NEIGHBOURS
from rldistill.methods.schedules import Constant, Geometric, Linear, Weaning

# l and r_hat of Table 1; reverse_cross_entropy is Hx(pi_theta || pi).
TABLE = {
    "on-policy-distill": ("cross_entropy", None),
    "entropy-regularised": (None, Credit(log_teacher=1.0)),
    "n-distill": ("cross_entropy", Credit(next_loss=1.0)),
    "exp-entropy-regularised": ("reverse_cross_entropy", Credit(next_loss=1.0)),
    "kl-regularised": (None, Credit(log_teacher=1.0, log_student=1.0)),
    "teacher-v-reward": (None, Credit(reward=1.0, shaping=1.0)),
    "td-teacher-v": (None, Credit(reward=1.0, bootstrap=1.0, one_step=True)),
    "td-v0": (None, Credit(reward=1.0, one_step=True)),
    "value-gated": ("cross_entropy", None),
    "baseline": (None, Credit(reward=1.0)),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_row_is_that_of_the_table(name):
    row = ROWS[name]
    assert (row.loss, row.credit) == TABLE[name]
    assert row.control == STUDENT
    assert row.memory == 0
    assert row.gate == (Gate() if name == "value-gated" else None)


@pytest.mark.parametrize("name", [name for name in EXACT if name.endswith("+R")])
def test_plus_r_adds_the_reward_and_nothing_else(name):
    """Where a row credits nothing, the reward is all that is credited."""
    row, without = ROWS[name], ROWS[name.removesuffix("+R")]
    assert row.loss == without.loss
    assert row.gate == without.gate
    assert row.credit == with_reward(without).credit
    assert row.credit.reward == 1.0


def test_the_lab_and_the_catalogue_have_the_same_rows():
    assert set(EXACT) <= set(ROWS)
    mine = {row.name for row in LANDSCAPE} | {"teacher-distill", "on-policy-distill"}
    assert mine == set(EXACT)


@pytest.mark.parametrize("name", EXACT)
def test_the_two_tables_agree_on_every_weight(name):
    """They were written apart."""
    row, exact = ROWS[name], EXACT[name]
    found = row.credit
    for weight in ("reward", "log_teacher", "log_student", "shaping", "bootstrap", "one_step"):
        assert getattr(found, weight, 0.0) == getattr(exact, weight), weight
    assert getattr(found, "next_loss", 0.0) == float(exact.credits_next_loss)
    assert (row.gate is not None) == exact.gated
    assert row.needs_teacher_value == exact.needs_teacher_value
    assert (row.loss == "cross_entropy") == exact.has_loss
    assert (row.loss == "reverse_cross_entropy") == exact.has_reverse_loss
    assert (row.control.teacher_share.at(0) == 1.0) == exact.teacher_acts


def test_the_neighbours_by_name():
    rows = {row.name: row for row in NEIGHBOURS}
    schedules = {
        "kickstarting": Linear(1.0, 0.0, 60),
        "kickstarting-constant": Constant(1.0),
        "kickstarting-geometric": Geometric(0.95),
        "kickstarting-performance": Weaning(1.0),
    }
    for name, schedule in schedules.items():
        row = rows[name]
        assert (row.loss, row.loss_weight) == ("cross_entropy", schedule)
        assert row.credit == Credit(reward=1.0)
    ppd = rows["ppd"]
    assert (ppd.loss, ppd.loss_weight, ppd.proximal) == ("kl", Constant(1.0), True)
    assert (ppd.credit, ppd.actor_critic.clip) == (Credit(reward=1.0), 0.2)
    rsl = rows["rsl-rl"]
    assert (rsl.loss, rsl.actions, rsl.learning.reuse) == ("mse", "continuous", 1.0)
    assert not rsl.is_actor_critic
    gkd = rows["gkd"]
    assert (gkd.loss, gkd.js_beta, gkd.control.teacher_share) == ("js", 0.5, Constant(0.5))


@pytest.mark.parametrize("row", [*LANDSCAPE, *NEIGHBOURS], ids=lambda row: row.name)
def test_a_row_that_uses_no_value_asks_for_none(row):
    uses = row.name.removesuffix("+R") in ("teacher-v-reward", "td-teacher-v", "value-gated")
    assert row.needs_teacher_value == uses
