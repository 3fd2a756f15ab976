import math
from dataclasses import replace

import pytest

from rldistill.errors import SettingError
from rldistill.methods.catalogue import ROWS
from rldistill.methods.credit import Credit
from rldistill.methods.method import (
    STUDENT,
    TEACHER,
    UNIFORM,
    ActorCritic,
    Control,
    Gate,
    Learning,
    Temperature,
)
from rldistill.methods.schedules import Constant, Geometric, Linear, Weaning


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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"gamma": 1.1}, r"gamma must lie in \[0, 1\], got 1.1"),
        ({"gamma": math.nan}, "gamma must lie"),
        ({"lam": -0.1}, r"lam must lie in \[0, 1\], got -0.1"),
        ({"n_step": 0}, "n_step must be at least 1, got 0"),
        ({"clip": -0.1}, "clip must be at least 0, got -0.1"),
        ({"value_weight": math.nan}, "value_weight must be at least 0"),
        ({"value_distillation": -1.0}, "value_distillation must be at least 0, got -1"),
        ({"entropy_bonus": -1.0}, "entropy_bonus must be at least 0, got -1"),
    ],
)
def test_an_actor_critic_setting_out_of_range_is_named(setting, message):
    with pytest.raises(SettingError, match=message):
        ActorCritic(**setting)


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan])
def test_a_gates_alpha_is_above_0(alpha):
    with pytest.raises(SettingError, match="alpha must be above 0"):
        Gate(alpha=alpha)


@pytest.mark.parametrize("weight", [Constant(-1.0), Linear(1.0, -0.5, 9), Constant(math.nan),
                                    Constant(math.inf)])  # fmt: skip
def test_a_loss_weighs_at_least_nothing(weight):
    with pytest.raises(SettingError, match="finite, at least 0 and somewhere above"):
        replace(ROWS["dagger"], loss_weight=weight)


@pytest.mark.parametrize("weight", [Constant(0.0), Linear(0.0, 0.0, 9)])
def test_a_schedule_that_never_starts_is_refused(weight):
    with pytest.raises(SettingError, match=r"somewhere above.*goes from 0 to 0"):
        replace(ROWS["kickstarting"], loss_weight=weight)


@pytest.mark.parametrize("weight", [Linear(0.0, 1.0, 9), Geometric(0.5), Weaning(2.0, 5)])
def test_a_schedule_that_starts_late_or_ends_is_fine(weight):
    assert replace(ROWS["kickstarting"], loss_weight=weight).loss_weight == weight


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("dagger", {"loss": None}, "neither a loss nor a credit: nothing to learn from"),
        ("dagger", {"proximal": True}, "proximal has no effect without credit or a gate"),
        ("dagger", {"js_beta": 0.1}, "js_beta has no effect without the loss js"),
        ("dagger", {"actor_critic": ActorCritic(lam=0.5)}, "no effect without credit or a gate"),
        ("baseline", {"loss_weight": Constant(2.0)}, "loss_weight has no effect without a loss"),
        ("gkd", {"js_beta": 1.0}, "js_beta must lie between 0 and 1, both excluded; got 1"),
        ("gkd", {"js_beta": math.nan}, "js_beta must lie between 0 and 1"),
        ("baseline", {"control": TEACHER}, "must act by sampling, alone and without epsilon"),
        ("baseline", {"control": replace(STUDENT, epsilon=0.1)}, "without epsilon"),
        ("baseline", {"control": replace(STUDENT, student_samples=False)}, "by sampling"),
        ("value-gated", {"control": Control(teacher_share=Geometric(0.5))}, "alone"),
        ("baseline", {"control": Control(teacher_share=Linear(0.0, 1.0, 9))}, "alone"),
        ("baseline", {"memory": 10}, r"latest round \(memory 0\).*got 10 and 1"),
        ("baseline", {"student_temperature": 0.5}, "got 0 and 0.5"),
        ("baseline", {"credit": Credit(next_loss=1.0)}, "credit for the next loss needs a loss"),
        ("baseline", {"gate": Gate()}, "a gate needs a loss"),
        ("baseline", {"proximal": True}, "proximal needs a loss"),
        (
            "baseline",
            {"teacher_temperature": Temperature(q_values=0.1)},
            "no effect without a loss",
        ),
        ("td-v0", {"actor_critic": ActorCritic(lam=0.5)}, "lam has no effect where an action"),
        ("td-teacher-v", {"actor_critic": ActorCritic(n_step=3)}, "n_step has no effect where"),
        ("baseline", {"actor_critic": ActorCritic(n_step=3, lam=0.5)}, "beside n_step; give one"),
        ("value-gated", {"actor_critic": ActorCritic(clip=0.1)}, "clip has no effect without"),
    ],
)
def test_what_a_row_cannot_be_is_named(name, changes, message):
    with pytest.raises(SettingError, match=message) as caught:
        replace(ROWS[name], **changes)
    assert str(caught.value).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("td-v0", ActorCritic(lam=0.5, value_distillation=1.0)),
        ("value-gated", ActorCritic(lam=0.5)),
        ("value-gated+R", ActorCritic(clip=0.1)),
        ("entropy-regularised", ActorCritic(n_step=3)),
    ],
)
def test_settings_that_have_an_effect_are_taken(name, settings):
    """One-step rows still estimate the return that a distilled value is compared with."""
    assert replace(ROWS[name], actor_critic=settings).actor_critic == settings


def test_who_needs_the_teachers_value():
    """The gate, the two credits, and value distillation, which counts in rows with credit alone."""
    distilled = replace(ROWS["baseline"], actor_critic=ActorCritic(value_distillation=1.0))
    assert distilled.needs_teacher_value
    names = {name for name, row in ROWS.items() if row.needs_teacher_value}
    assert names == {"value-gated", "value-gated+R", "teacher-v-reward", "td-teacher-v"}
