import math
from dataclasses import replace

import pytest

from rldistill.errors import SettingError
from rldistill.methods.catalogue import ROWS
from rldistill.methods.method import STUDENT, TEACHER, UNIFORM, Control, Learning, Temperature
from rldistill.methods.schedules import Constant, Linear


def test_the_named_controls_are_what_their_names_say():
    assert (TEACHER.teacher_share.at(9), TEACHER.epsilon) == (1.0, 0.0)
    assert (STUDENT.teacher_share.at(0), STUDENT.epsilon) == (0.0, 0.0)
    assert UNIFORM.epsilon == 1.0


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, math.nan])
def test_epsilon_is_a_probability(epsilon):
    with pytest.raises(SettingError, match=r"epsilon must lie in \[0, 1\]"):
        replace(TEACHER, epsilon=epsilon)


@pytest.mark.parametrize(
    "schedule",
    [Constant(2.0), Constant(-0.1), Constant(math.nan), Linear(1.5, 0.0, 3), Linear(1.0, -1.0, 3)],
)
def test_the_teachers_share_is_a_probability_in_every_round(schedule):
    with pytest.raises(SettingError, match=r"teacher_share must lie in \[0, 1\]"):
        Control(teacher_share=schedule)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
@pytest.mark.parametrize("name", ["logits", "q_values"])
def test_temperatures_are_above_0(name, value):
    with pytest.raises(SettingError, match="temperatures must be above 0"):
        Temperature(**{name: value})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"optimiser": "sgd"}, "optimiser must be adam or rmsprop, got 'sgd'"),
        ({"learning_rate": 0.0}, "must be above 0"),
        ({"learning_rate": math.nan}, "must be above 0"),
        ({"batch_size": 0}, "must be above 0"),
        ({"reuse": 0.0}, "must be above 0"),
        ({"average": 1.0}, r"average must lie in \[0, 1\), got 1.0"),
        ({"average": math.nan}, r"average must lie in \[0, 1\)"),
        ({"max_grad_norm": -1.0}, "max_grad_norm must be at least 0"),
    ],
)
def test_a_learning_setting_out_of_range_is_named(setting, message):
    with pytest.raises(SettingError, match=message):
        Learning(**setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"student_temperature": 0.0}, "student_temperature must be above 0, got 0"),
        ({"student_temperature": math.nan}, "student_temperature must be above 0"),
        ({"memory": -1}, "memory must be at least 0"),
        ({"round_steps": 0}, "round_steps at least 1"),
    ],
)
def test_a_method_setting_out_of_range_is_named(setting, message):
    with pytest.raises(SettingError, match=message):
        replace(ROWS["dagger"], **setting)
