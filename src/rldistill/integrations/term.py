"""The distillation term for other people's training loops: plain torch, nothing else is needed."""

from dataclasses import dataclass
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.core import (
    DETERMINISTIC_STD,
    Categorical,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    SquashedGaussian,
    SquashedGaussianHead,
    head_for,
    require_memoryless,
)
from rldistill.errors import SettingError
from rldistill.methods.landscape import GAP
from rldistill.methods.method import STUDENT, Method, Temperature
from rldistill.methods.terms import align, mean_action_gap, needs_action_gap
from rldistill.teachers.load import load_teacher

# In units of the deviation that a policy without one is given: see DETERMINISTIC_STD.
LARGEST_RANGE = 1e6


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TermSettings:
    """Which loss.

    Attributes:
        loss: a key of rldistill.methods.terms.LOSSES, per state, in nats for divergences.
        teacher_temperature: divides the teacher's logits or Q-values. Default: a tenth of the mean
            action gap for Q-networks, 1 for policies.
        student_temperature: divides the student's; for a student that is a Q-network it is the
            difference of Q, in units of reward, that counts as one nat.
        js_beta: weight of the teacher in the loss "js".
    """

    loss: str = "cross_entropy"
    teacher_temperature: Temperature = GAP
    student_temperature: float = 1.0
    js_beta: float = 0.5


@final
class DistillationTerm:
    """l(pi(s), pi_theta(s)): labels once, then a loss that a student's gradient flows through.

    A squashed or deterministic teacher (SAC, TD3) of a Gaussian student (PPO) counts as a normal
    around its action, with a deviation of a tenth of half the range of actions.

    Attributes:
        teacher: frozen.
        student_head: what the student's raw outputs mean.
        settings: which loss.
    """

    def __init__(
        self, teacher: NetworkPolicy, student_head: Head, settings: TermSettings = TermSettings()
    ) -> None:
        """Check that the loss is defined between the two.

        Raises:
            SettingError: the loss is unknown or undefined for this family.
            ShapeError: the two are not of one family and size.
            TaskError: the teacher is recurrent.
        """
        require_memoryless(teacher.info, "a term in a training loop of others")
        self.teacher = teacher
        self.student_head = student_head
        self.settings = settings
        self._method = Method(
            name="the term",
            summary="A loss in a training loop of others.",
            source="",
            control=STUDENT,
            loss=settings.loss,
            teacher_temperature=settings.teacher_temperature,
            student_temperature=settings.student_temperature,
            js_beta=settings.js_beta,
        )
        self._head = normal_head(teacher.info.head, student_head)
        self._align = align(self._method, self._head, student_head, None)
        self._is_scaled = not needs_action_gap(self._method, self._head)

    @torch.no_grad()
    def label(self, observations: Tensor) -> Tensor:
        """The teacher's raw outputs [N, ...] for raw observations [N, ...].

        The first call fixes a relative temperature.
        """
        raw = as_normal(self.teacher, self.student_head, self.teacher.raw(observations))
        if not self._is_scaled:
            self._align = align(self._method, self._head, self.student_head, mean_action_gap(raw))
            self._is_scaled = True
        return raw

    def __call__(self, labels: Tensor, student_raw: Tensor) -> Tensor:
        """The loss per state [N].

        Args:
            labels: of label(), [N, ...]; no gradient reaches the teacher.
            student_raw: [N, outputs of the student's head]: logits or Q-values; mean and log
                standard deviation.
        """
        return self._align(labels, student_raw)

    @torch.no_grad()
    def agreement(self, labels: Tensor, student_raw: Tensor) -> float | None:
        """Share of states where both choose alike; None for continuous actions."""
        teacher, student = self._head(labels), self.student_head(student_raw)
        if not isinstance(teacher, Categorical) or not len(labels):
            return None
        return float((teacher.mode() == student.mode()).double().mean())


def make_term(
    teacher: object,
    observation_shape: tuple[int, ...],
    action_space: spaces.Space[Any],
    settings: TermSettings = TermSettings(),
) -> DistillationTerm:
    """The term between any teacher and a student with logits (Discrete) or a normal (Box).

    Args:
        teacher: whatever load_teacher takes.
        observation_shape: of the task, raw.
        action_space: of the task.
        settings: which loss.

    Raises:
        TaskError: teacher and task do not fit each other.
        SettingError, ShapeError, TeacherFileError: as load_teacher and DistillationTerm.
    """
    policy = load_teacher(teacher, observation_shape=observation_shape, action_space=action_space)
    return DistillationTerm(policy, head_for(action_space), settings)


def normal_head(teacher: Head, student: Head) -> Head:
    """The head of the labels: the teacher's, or a normal where only the student is one."""
    odd = isinstance(teacher, (SquashedGaussianHead, DeterministicHead))
    if not (odd and isinstance(student, GaussianHead)):
        return teacher
    if any(high - low > LARGEST_RANGE for low, high in zip(teacher.low, teacher.high, strict=True)):
        raise SettingError(
            "a teacher without a normal distribution needs finite action bounds to teach a student "
            f"with one; its bounds are {teacher.low} to {teacher.high}"
        )
    return GaussianHead(teacher.low, teacher.high)


def as_normal(teacher: NetworkPolicy, student: Head, raw: Tensor) -> Tensor:
    """The teacher's raw outputs as those of normal_head: [N, outputs]."""
    head = teacher.info.head
    if not isinstance(head, (SquashedGaussianHead, DeterministicHead)):
        return raw
    if not isinstance(student, GaussianHead):
        return raw
    says = head(raw)
    mean = says.mode() if isinstance(says, SquashedGaussian) else says.action
    half = (mean.new_tensor(head.high) - mean.new_tensor(head.low)) / 2
    return torch.cat([mean, (DETERMINISTIC_STD * half).log().expand_as(mean)], -1)
