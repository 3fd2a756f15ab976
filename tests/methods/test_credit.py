import math

import pytest

from rldistill.errors import SettingError
from rldistill.methods.credit import Credit

WEIGHTS = ("reward", "log_teacher", "log_student", "shaping", "bootstrap", "next_loss")


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_a_weight_that_is_no_weight_is_named(name, weight):
    with pytest.raises(SettingError, match=rf"finite and at least 0, got {name} {weight:g}"):
        Credit(**{"reward": 1.0, name: weight}, one_step=True)


def test_every_wrong_weight_is_named_at_once():
    with pytest.raises(SettingError, match="got reward -1, shaping -2"):
        Credit(reward=-1.0, shaping=-2.0)


def test_a_credit_of_nothing_is_refused():
    with pytest.raises(SettingError, match="one weight must be above 0"):
        Credit(one_step=True)


def test_a_bootstrap_over_many_steps_is_refused():
    """Every later value would be counted again."""
    with pytest.raises(SettingError, match="set one_step too"):
        Credit(reward=1.0, bootstrap=1.0)


@pytest.mark.parametrize("name", WEIGHTS)
def test_what_a_term_needs(name):
    credit = Credit(**{name: 1.0}, one_step=True)
    assert credit.needs_teacher_value == (name in ("shaping", "bootstrap"))
    assert credit.needs_log_prob == (name in ("log_teacher", "log_student"))
