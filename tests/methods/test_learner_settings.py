"""Settings of rows with a learner of their own: what they are, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from rldistill.errors import SettingError
from rldistill.methods.catalogue import get_method
from rldistill.methods.credit import Credit
from rldistill.methods.learner_settings import (
    FeatureRegression,
    Peer,
    Prior,
    QLearning,
    regularised,
)
from rldistill.methods.method import STUDENT, Gate, Temperature
from rldistill.methods.schedules import Weaning


def test_actor_mimic_is_the_papers():
    row = get_method("actor-mimic")
    assert row.control.epsilon == 0.1
    assert row.control.teacher_share.at(0) == 0.0
    assert row.loss == "cross_entropy"
    assert row.teacher_temperature == Temperature(q_values=1.0)
    assert row.memory == 100_000
    assert row.learner == FeatureRegression(weight=0.01)


def test_qdagger_is_the_papers():
    row = get_method("qdagger")
    assert [row.control.teacher_share.at(i) for i in (0, 9, 10)] == [1.0, 1.0, 0.0]
    assert row.control.epsilon == 0.01
    assert isinstance(row.loss_weight, Weaning)
    assert row.loss_weight.start == 3.0
    assert row.learner == QLearning(n_step=3, double=False)
    assert row.actions == "discrete"


def test_distrals_weights_are_alpha_over_beta_and_one_over_beta():
    """With alpha 1/2 the prior's logarithm weighs half of the student's."""
    credit = get_method("distral").credit
    assert credit == Credit(reward=1.0, log_teacher=0.1, log_student=0.2)
    assert regularised(alpha=1.0, beta=2.0) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: FeatureRegression(weight=0.0), "weight must be above 0, got 0"),
        (lambda: QLearning(n_step=0), "n_step and target_period must be at least 1, got 0"),
        (lambda: QLearning(target_period=0), "at least 1, got 3 and 0"),
        (lambda: QLearning(gamma=1.5), "gamma must lie in"),
        (lambda: QLearning(student_temperature=0.0), "student_temperature must be above 0"),
        (lambda: Peer(alpha=0.0), "alpha must be above 0"),
        (lambda: Peer(passes=0), "passes at least 1"),
        (lambda: regularised(0.0, 1.0), "alpha must lie in"),
        (lambda: regularised(0.5, 0.0), "beta be above 0"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, problem: str):
    with pytest.raises(SettingError, match=problem):
        make()


@pytest.mark.parametrize(
    ("row", "changes", "problem"),
    [
        ("actor-mimic", {"memory": 0}, "memory must be above 0"),
        ("actor-mimic", {"loss": None}, "neither a loss nor a credit"),
        ("actor-mimic", {"control": STUDENT, "credit": Credit(reward=1.0), "memory": 0},
         "credit and a gate have no effect"),
        ("qdagger", {"control": STUDENT}, "student_samples=False"),
        ("qdagger", {"actions": "any"}, "discrete actions"),
        ("qdagger", {"student_temperature": 2.0}, "set its own student_temperature"),
        ("distral", {"loss": None}, "Prior needs a loss"),
        ("dual", {"gate": Gate()}, "knows neither a gate"),
        ("dual", {"proximal": True}, "nor proximal"),
        ("dual", {"credit": Credit(reward=1.0, log_student=1.0)}, "credits that alone"),
        ("distral", {"credit": None, "gate": Gate()}, "Prior needs credit"),
        ("distral", {"credit": Credit(reward=1.0, shaping=1.0)}, "not use the teacher's value"),
        ("distral", {"credit": Credit(reward=1.0, next_loss=1.0)}, "no loss of the next state"),
        ("dagger", {"learner": Prior()}, "Prior needs credit"),
    ],
)  # fmt: skip
def test_rows_whose_learner_would_ignore_a_setting_are_refused(row, changes, problem):
    with pytest.raises(SettingError, match=problem):
        replace(get_method(row), **changes)
