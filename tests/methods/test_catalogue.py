import pytest

from rldistill.core import CategoricalHead, GaussianHead, QValueHead
from rldistill.errors import SettingError
from rldistill.methods.catalogue import DEFAULT, ROWS, get_method
from rldistill.methods.schedules import Constant
from rldistill.methods.terms import LOSSES, align


def test_the_rows_of_the_papers_are_there_under_their_names():
    assert set(ROWS) == {
        "teacher-distill", "on-policy-distill", "rusu-nll", "rusu-mse", "rusu-kl",
            "rusu-kl-relative",
        "dagger", "dagger-geometric", "dagger-linear",
        "on-policy-distill+R", "entropy-regularised", "entropy-regularised+R", "n-distill",
        "n-distill+R", "exp-entropy-regularised", "exp-entropy-regularised+R", "kl-regularised",
        "kl-regularised+R", "value-gated", "value-gated+R", "teacher-v-reward", "td-teacher-v",
        "td-v0", "baseline", "kickstarting", "kickstarting-constant", "kickstarting-geometric",
        "kickstarting-performance", "ppd", "rsl-rl", "gkd",
        "actor-mimic", "qdagger", "dual", "distral", "viper", "viper-unweighted", "cart",
    }  # fmt: skip
    assert DEFAULT in ROWS


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_it_is_and_works_for_the_teachers_it_is_for(name):
    row = get_method(name)
    assert row.name == name
    assert row.summary.endswith(".")
    assert "arXiv" in row.source or name == "rsl-rl"
    assert row.loss in (*LOSSES, None)
    if row.actions == "continuous":
        head = GaussianHead((-1.0,), (1.0,))
        align(row, head, head, None)
        return
    for head in (CategoricalHead(2), QValueHead(2)):
        align(row, head, CategoricalHead(2), 1.0)


def test_rusus_rows_are_rusus():
    """The teacher acts, epsilon 0.05; its Q-values are divided by 0.01, the student's by 1."""
    for name, loss in (("rusu-nll", "nll"), ("rusu-mse", "mse"), ("rusu-kl", "kl")):
        row = get_method(name)
        assert row.loss == loss
        assert row.control.teacher_share == Constant(1.0)
        assert row.control.epsilon == 0.05
        assert row.teacher_temperature.q_values == 0.01
        assert not row.teacher_temperature.relative
        assert row.student_temperature == 1.0
        assert row.learning.optimiser == "rmsprop"
        assert row.memory == 540_000
        assert row.published_steps == 27_000_000
        assert row.learning.average == 0.0  # the final weights count


def test_rusus_rows_take_ten_thousand_updates_per_hour_of_play():
    """54,000 steps at 15 Hz; what the loop makes of one round, times the rounds of an hour."""
    row = get_method("rusu-kl")
    updates = round(row.learning.reuse * row.round_steps / row.learning.batch_size)
    assert updates * (54_000 / row.round_steps) == 10_000


def test_who_acts_in_the_first_three_rounds():
    """Ross et al. count rounds from 1: beta_1 = 1 in every DAgger row."""
    shares = {
        name: [round(row.control.teacher_share.at(i), 3) for i in range(3)]
        for name, row in ROWS.items()
    }
    assert shares["teacher-distill"] == [1, 1, 1]
    assert shares["on-policy-distill"] == [0, 0, 0]
    assert shares["dagger"] == [1, 0, 0]
    assert shares["dagger-geometric"] == [1, 0.5, 0.25]
    assert shares["dagger-linear"] == [1, 0.933, 0.867]


def test_the_on_policy_row_samples_and_forgets():
    row = get_method("on-policy-distill")
    assert row.memory == 0
    assert row.control.student_samples
    assert not get_method("dagger").control.student_samples


def test_an_unknown_method_gets_near_names():
    with pytest.raises(SettingError, match=r"unknown method 'daggr'.*Did you mean dagger"):
        get_method("daggr")
