"""Alignment losses between a teacher's and a student's distributions, per state, in nats.

One name means the same in every family; which maths module it comes from depends on the family.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from rldistill.core import (
    DETERMINISTIC_STD,
    Categorical,
    CategoricalHead,
    Deterministic,
    DeterministicHead,
    Distribution,
    Gaussian,
    Head,
    QValueHead,
    SquashedGaussian,
)
from rldistill.errors import SettingError, ShapeError, did_you_mean
from rldistill.maths import categorical, deterministic, gaussian, squashed
from rldistill.methods.method import Method

LOSSES = ("nll", "mse", "kl", "reverse_kl", "js", "cross_entropy", "reverse_cross_entropy")
# Where the logarithm of the teacher's probability is a cost or a reward, a probability below this
# (a masked action, a sharpened softmax) counts as this: one action must not cost infinitely much.
# For a density: per action dimension.
FLOOR = 1e-8
# The losses with log pi in them.
_LOG_TEACHER = ("reverse_kl", "reverse_cross_entropy")
_DISCRETE = (CategoricalHead, QValueHead)
_Pairwise = Callable[[Tensor, Tensor], Tensor]
_Normal = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
_Point = Callable[[Tensor, Tensor, Tensor], Tensor]

_CATEGORICAL: dict[str, _Pairwise] = {
    "nll": categorical.nll,
    "mse": categorical.mse,
    "kl": categorical.kl,
    "reverse_kl": categorical.reverse_kl,
    "cross_entropy": categorical.cross_entropy,
    "reverse_cross_entropy": lambda p, q: categorical.cross_entropy(q, p),
}
_GAUSSIAN: dict[str, _Normal] = {
    "nll": gaussian.nll,
    "mse": gaussian.mse,
    "kl": gaussian.kl,
    "reverse_kl": gaussian.reverse_kl,
    "cross_entropy": gaussian.cross_entropy,
    "reverse_cross_entropy": lambda pm, ps, qm, qs: gaussian.cross_entropy(qm, qs, pm, ps),
}
_SQUASHED: dict[str, _Normal] = {
    "nll": squashed.nll,
    "mse": squashed.mse,
    "kl": squashed.kl,
    "reverse_kl": squashed.reverse_kl,
    "cross_entropy": squashed.cross_entropy,
    "reverse_cross_entropy": lambda pm, ps, qm, qs: squashed.cross_entropy(qm, qs, pm, ps),
}
_DETERMINISTIC: dict[str, _Point] = {
    "nll": deterministic.nll,
    "kl": deterministic.kl,
    "reverse_kl": deterministic.reverse_kl,
    "cross_entropy": deterministic.cross_entropy,
    "reverse_cross_entropy": lambda p, q, std: deterministic.cross_entropy(q, p, std),
}


NO_PROBABILITIES = (
    "a row with credit or a gate needs the probabilities of actions, and a deterministic policy "
    "(TD3, DDPG, ARS) has none, nor has its student; choose a row without, such as "
    "on-policy-distill"
)


@final
@dataclass(frozen=True, slots=True)
class Alignment:
    """The loss of one method between one teacher's and one student's raw outputs.

    Attributes:
        loss: a key of LOSSES; None: the row has none, and only log-probabilities are asked for.
        teacher_head: what the teacher's raw outputs mean.
        student_head: what the student's mean.
        teacher_temperature: divides the teacher's logits, in their own units.
        student_temperature: divides the student's logits.
        js_beta: weight of the teacher in "js".
    """

    loss: str | None
    teacher_head: Head
    student_head: Head
    teacher_temperature: float
    student_temperature: float
    js_beta: float = 0.5

    def __call__(self, teacher_raw: Tensor, student_raw: Tensor) -> Tensor:
        """Loss per state [...] from raw outputs [..., outputs]; no gradient reaches the teacher.

        Raises:
            SettingError: the row has no loss.
        """
        if self.loss is None:
            raise SettingError("this row has no alignment loss")
        teacher = self.teacher_head(teacher_raw.detach())
        student = self.student_head(student_raw)
        if not (isinstance(teacher, Categorical) and isinstance(student, Categorical)):
            return continuous_loss(self.loss, self.teacher_head, teacher, student)
        teacher_logits = teacher.logits / self.teacher_temperature
        student_logits = student.logits / self.student_temperature
        if self.loss == "js":
            return categorical.js(teacher_logits, student_logits, self.js_beta)
        if self.loss == "mse" and isinstance(self.teacher_head, QValueHead):
            # The level of a Q-value has a meaning; that of a logit has none.
            return categorical.squared_error(teacher_logits, student_logits)
        if self.loss in _LOG_TEACHER:
            teacher_logits = teacher_logits.log_softmax(-1).clamp(min=math.log(FLOOR))
        return _CATEGORICAL[self.loss](teacher_logits, student_logits)

    def teacher_log_prob(self, teacher_raw: Tensor, actions: Tensor) -> Tensor:
        """log pi(a | s), at the teacher's temperature and at least log FLOOR: [...], no gradient.

        Args:
            teacher_raw: [..., outputs].
            actions: int64 [...], or [..., D] in environment units.

        Raises:
            SettingError: the teacher is deterministic.
        """
        teacher = self.teacher_head(teacher_raw.detach())
        if isinstance(teacher, Deterministic):
            raise SettingError(NO_PROBABILITIES)
        if isinstance(teacher, Categorical):
            teacher = Categorical(teacher.logits / self.teacher_temperature)
            return teacher.log_prob(actions).clamp(min=math.log(FLOOR))
        return teacher.log_prob(actions).clamp(min=actions.shape[-1] * math.log(FLOOR))

    def student_log_prob(self, student_raw: Tensor, actions: Tensor) -> Tensor:
        """log pi_theta(a | s) of the policy that acts: [...].

        Raises:
            SettingError: the student is deterministic.
        """
        student = self.student_head(student_raw)
        if isinstance(student, Deterministic):
            raise SettingError(NO_PROBABILITIES)
        return student.log_prob(actions)

    def student_entropy(self, student_raw: Tensor) -> Tensor:
        """H(pi_theta) per state: [...], nats; as log_prob.

        Raises:
            SettingError: the student is deterministic.
        """
        student = self.student_head(student_raw)
        if isinstance(student, Deterministic):
            raise SettingError(NO_PROBABILITIES)
        return student.entropy()


def continuous_loss(
    loss: str, teacher_head: Head, teacher: Distribution, student: Distribution
) -> Tensor:
    """The loss between two continuous distributions of one family, per state [...].

    A deterministic policy counts as a normal with DETERMINISTIC_STD of half the action range (of
    one unit, where the range is infinite).

    Args:
        loss: a key of LOSSES, not js.
        teacher_head: has the range of actions.
        teacher: what the teacher says.
        student: what the student says.

    Raises:
        ShapeError: the families differ.
    """
    if isinstance(teacher, Gaussian) and isinstance(student, Gaussian):
        return _GAUSSIAN[loss](teacher.mean, teacher.log_std, student.mean, student.log_std)
    if isinstance(teacher, SquashedGaussian) and isinstance(student, SquashedGaussian):
        return _SQUASHED[loss](teacher.mean, teacher.log_std, student.mean, student.log_std)
    if isinstance(teacher, Deterministic) and isinstance(student, Deterministic):
        if loss == "mse":
            return deterministic.mse(teacher.action, student.action)
        std = teacher.action.new_tensor(_deterministic_std(teacher_head))
        return _DETERMINISTIC[loss](teacher.action, student.action, std)
    raise ShapeError(
        f"no loss between a {type(teacher).__name__} teacher and a {type(student).__name__} student"
    )


def _deterministic_std(head: Head) -> list[float]:
    """Per action dimension, in environment units."""
    assert isinstance(head, DeterministicHead)
    halves = [(high - low) / 2 for low, high in zip(head.low, head.high, strict=True)]
    # A range of width 0 has one action only; any deviation will do.
    return [DETERMINISTIC_STD * (x if 0 < x < math.inf else 1.0) for x in halves]


def align(
    method: Method, teacher_head: Head, student_head: Head, action_gap: float | None
) -> Alignment:
    """The alignment loss of a method for this pair of policies.

    Args:
        method: the row.
        teacher_head: of the teacher.
        student_head: of the student.
        action_gap: mean of max_a Q - mean_a Q over the first states, where the row's temperature is
            relative and the teacher is a Q-network; else None.

    Raises:
        SettingError: the loss is unknown, or undefined for this family; or the row needs the
            probabilities of actions and a policy is deterministic.
        ShapeError: the two heads are not of one family and size.
    """
    if method.is_actor_critic and isinstance(student_head, DeterministicHead):
        raise SettingError(f"{method.name}: {NO_PROBABILITIES}")
    if method.loss is not None and method.loss not in LOSSES:
        raise SettingError(
            f"unknown loss {method.loss!r}; known: {', '.join(LOSSES)}."
            + did_you_mean(method.loss, LOSSES)
        )
    if method.loss == "js" and not isinstance(teacher_head, _DISCRETE):
        raise SettingError("loss 'js' has no closed form for continuous actions; use kl")
    kind = "discrete" if isinstance(teacher_head, _DISCRETE) else "continuous"
    if method.actions not in ("any", kind):
        raise SettingError(
            f"{method.name} is defined for {method.actions} actions; this teacher's are {kind}"
        )
    _check_family(teacher_head, student_head)
    tau = method.teacher_temperature
    temperature = tau.logits
    if isinstance(teacher_head, QValueHead):
        temperature = tau.q_values
        if tau.relative:
            # A teacher that is indifferent everywhere has no gap; any temperature is as good.
            temperature *= max(action_gap or 1.0, 1e-8)
    if method.loss == "mse":
        # Squared error compares the values themselves, as in the paper: nothing is sharpened.
        temperature = 1.0
    return Alignment(
        method.loss,
        teacher_head,
        student_head,
        temperature,
        method.student_temperature,
        method.js_beta,
    )


def _check_family(teacher: Head, student: Head) -> None:
    alike = type(teacher) is type(student)
    alike = alike or (isinstance(teacher, _DISCRETE) and isinstance(student, _DISCRETE))
    if not alike or teacher.num_outputs != student.num_outputs:
        raise ShapeError(f"no loss is defined between a {teacher} teacher and a {student} student")


def num_floored(method: Method, alignment: Alignment, teacher_raw: Tensor) -> int:
    """How many of the teacher's probabilities are taken for FLOOR, where log pi counts.

    Args:
        method: the row; 0 unless it credits log pi or has it in its loss.
        alignment: its loss, with its temperature.
        teacher_raw: [N, outputs] of a discrete teacher; 0 for continuous actions.
    """
    credited = method.credit is not None and method.credit.log_teacher > 0.0
    teacher = alignment.teacher_head(teacher_raw)
    if not (credited or method.loss in _LOG_TEACHER) or not isinstance(teacher, Categorical):
        return 0
    log_p = (teacher.logits / alignment.teacher_temperature).log_softmax(-1)
    return int((log_p < math.log(FLOOR)).sum())


def needs_action_gap(method: Method, teacher_head: Head) -> bool:
    """Whether align() needs the teacher's action gap."""
    return method.teacher_temperature.relative and isinstance(teacher_head, QValueHead)


def mean_action_gap(q_values: Tensor) -> float:
    """Mean over states [N, A] of max_a Q - mean_a Q, in units of reward.

    >>> import torch
    >>> mean_action_gap(torch.tensor([[0.0, 2.0], [1.0, 1.0]]))
    0.5
    """
    return float((q_values.amax(-1) - q_values.mean(-1)).mean())
