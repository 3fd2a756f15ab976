"""The learner of Actor-Mimic: a loss per state, and regression on the teacher's hidden layer."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from rldistill.core import Distribution, NetworkPolicy, PolicyInfo
from rldistill.core.hidden import HiddenLayer
from rldistill.core.recurrent import Memoryless
from rldistill.data.frames import FrameReplay
from rldistill.data.replay import Replay
from rldistill.methods.learner_settings import FeatureRegression
from rldistill.methods.method import Learning
from rldistill.methods.terms import Alignment
from rldistill.train.learners import Memory, OneStudent, finite_loss
from rldistill.train.stepper import Stepper


@final
@dataclass(frozen=True, slots=True)
class FeatureTeacher(Memoryless):
    """A teacher whose labels hold its last hidden layer, after its raw outputs: [N, outputs + H].

    So both are computed once per state, in one forward pass, and stored together.

    Attributes:
        policy: the teacher.
        hidden: its last hidden layer.
    """

    policy: NetworkPolicy
    hidden: HiddenLayer

    @classmethod
    def of(cls, policy: NetworkPolicy) -> "FeatureTeacher":
        """For a teacher with a hidden layer.

        Raises:
            SettingError: it has none.
        """
        return cls(policy, HiddenLayer(policy))

    @property
    def info(self) -> PolicyInfo:
        """The teacher's own."""
        return self.policy.info

    @property
    def label_width(self) -> int:
        """Numbers in a label."""
        return self.info.head.num_outputs + self.hidden.width

    def __call__(self, observations: Tensor) -> Distribution:
        return self.policy(observations)

    def raw(self, observations: Tensor) -> Tensor:
        """Labels [N, outputs + H]."""
        return torch.cat(self.hidden(observations), -1)

    def value(self, observations: Tensor) -> Tensor:
        """The teacher's own."""
        return self.policy.value(observations)

    def to(self, device: torch.device) -> "FeatureTeacher":
        """On another device."""
        return FeatureTeacher.of(self.policy.to(device))


@final
class MimicLearner(OneStudent):
    """Takes steps on mean_i [lambda l(teacher_i, student_i) + beta |f(h_student) - h_teacher|^2].

    f is linear, learnt beside the student and forgotten after the run; the square is summed over
    the teacher's H features.

    Source: Parisotto et al. 2016 (Actor-Mimic, arXiv:1511.06342), equations 4 to 6.

    Attributes:
        alignment: the loss.
        loss_weight: lambda.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        teacher: FeatureTeacher,
        alignment: Alignment,
        method: tuple[Learning, FeatureRegression],
        generator: torch.Generator,
    ) -> None:
        self.alignment = alignment
        self.loss_weight = 1.0
        self._learning, self._settings = method
        self._generator = generator
        self._hidden = HiddenLayer(student)
        self._projection = nn.Linear(self._hidden.width, teacher.hidden.width)
        self._projection.to(student.device)
        self._stepper = Stepper(student, self._learning, self._projection)

    def learn(self, memory: Memory, num_updates: int) -> float:
        """Take num_updates steps on uniform batches from a replay of labels with features.

        Returns:
            The mean of what is minimised, features included.

        Raises:
            NotFiniteError: the loss became NaN or infinite.
        """
        assert isinstance(memory, Replay | FrameReplay)
        total = torch.zeros((), device=self._stepper.device)
        with self._stepper.training():
            for _ in range(num_updates):
                loss = self.loss(*memory.sample(self._learning.batch_size, self._generator))
                self._stepper.step(loss)
                total += loss.detach()
        return finite_loss(float(total) / max(num_updates, 1), self._stepper)

    def loss(self, observations: Tensor, labels: Tensor) -> Tensor:
        """What is minimised [], on observations [N, ...] and labels [N, outputs + H]."""
        outputs = self.alignment.teacher_head.num_outputs
        raw, hidden = self._hidden(observations)
        apart = self.alignment(labels[:, :outputs], raw)
        missed = (self._projection(hidden) - labels[:, outputs:]).square().sum(-1)
        return (self.loss_weight * apart + self._settings.weight * missed).mean()
