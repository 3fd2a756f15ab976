"""Which learner a row needs, and what it cannot do without."""

from dataclasses import replace

import pytest
import torch
from small_rounds import alignment_of, the_student, the_teacher

from rldistill.errors import SettingError
from rldistill.methods.catalogue import ROWS
from rldistill.methods.schedules import Constant, Weaning
from rldistill.train.actor_critic import ActorCriticLearner
from rldistill.train.learners import PerStateLearner
from rldistill.train.learning import make_learner, too_short

# The rows with a learner of their own have tests of their own.
DISCRETE = [row for row in ROWS.values() if row.actions != "continuous" and row.learner is None]


@pytest.mark.parametrize("row", DISCRETE, ids=lambda row: row.name)
def test_rows_with_credit_or_a_gate_learn_from_trajectories(row):
    learner = make_learner(row, the_student(), the_teacher(), alignment_of(row), torch.Generator())
    expected = ActorCriticLearner if row.is_actor_critic else PerStateLearner
    assert type(learner) is expected
    assert ("critic" in learner.state_dict()) == row.is_actor_critic


@pytest.mark.parametrize("name", [row.name for row in DISCRETE if row.is_actor_critic])
def test_a_dataset_cannot_credit_actions(name):
    row = ROWS[name]
    with pytest.raises(SettingError, match=rf"{name.replace('+', '.')} .*(dataset)"):
        make_learner(row, the_student(), None, alignment_of(row), torch.Generator())


def test_a_weight_that_follows_training_episodes_needs_some():
    row = replace(ROWS["dagger"], loss_weight=Weaning(1.0))
    with pytest.raises(SettingError, match=r"training episodes, which a dataset does not have"):
        make_learner(row, the_student(), None, alignment_of(row), torch.Generator())
    row = replace(row, loss_weight=Constant(2.0))
    make_learner(row, the_student(), None, alignment_of(row), torch.Generator())


def test_a_run_in_which_the_student_never_acts_is_warned_of():
    """QDagger's teacher acts alone for 40,960 steps, DAgger's for 4,096; others leave it to none,
    or for ever."""
    (warning,) = too_short(ROWS["qdagger"], 40_960)
    assert "qdagger lets the student act after 40,960" in warning
    assert too_short(ROWS["qdagger"], 40_961) == ()
    assert "after 4,096" in too_short(ROWS["dagger"], 100)[0]
    assert too_short(ROWS["dagger"], 4_097) == ()
    assert too_short(ROWS["teacher-distill"], 1) == ()
    assert too_short(ROWS["on-policy-distill"], 1) == ()
