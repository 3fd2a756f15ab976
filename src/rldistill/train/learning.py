"""Which learner a row needs."""

import torch

from rldistill.core import NetworkPolicy
from rldistill.errors import SettingError
from rldistill.methods.method import Method
from rldistill.methods.schedules import Weaning
from rldistill.methods.terms import Alignment
from rldistill.train.actor_critic import ActorCriticLearner
from rldistill.train.learners import Learner, PerStateLearner


def make_learner(
    row: Method,
    student: NetworkPolicy,
    teacher: NetworkPolicy | None,
    alignment: Alignment,
    generator: torch.Generator,
) -> Learner:
    """The learner of a row.

    Args:
        row: the method.
        student: what learns.
        teacher: None where the states come from a dataset.
        alignment: the loss.
        generator: of its batches.

    Raises:
        SettingError: the row needs environments, or the teacher's value, and there is none.
    """
    if teacher is None and isinstance(row.loss_weight, Weaning):
        raise SettingError(
            f"{row.name} weighs its loss by the returns of training episodes, which a dataset does "
            "not have; choose another loss_weight, such as Constant(1.0)"
        )
    if not row.is_actor_critic:
        return PerStateLearner(student, alignment, row.learning, generator)
    if teacher is None:
        raise SettingError(
            f"{row.name} credits the student's own actions, so it needs a teacher and an "
            "environment; from a dataset learn with a row without credit, such as teacher-distill"
        )
    return ActorCriticLearner(student, teacher, row, alignment, generator)
