"""Agreement: how alike teacher and student act on the same states."""

from dataclasses import asdict, dataclass
from typing import final

import torch
from torch import Tensor

from rldistill.core import Categorical, Distribution, Policy, QValueHead
from rldistill.errors import ShapeError
from rldistill.maths import categorical
from rldistill.methods.catalogue import GAP
from rldistill.methods.terms import continuous_loss, mean_action_gap

# Two continuous actions agree in a component when they differ by less than this share of its range.
CLOSE = 0.05
BATCH = 8192


@final
@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement on one set of states.

    Attributes:
        top_action: share of states where both choose the same action (discrete), or of action
            components within 5 % of their range (continuous; of a unit where unbounded).
        kl: mean KL(teacher || student) in nats. A Q-network's softmax has the temperature of a
            tenth of its mean action gap. None where the families have no KL.
        states: how many states were compared.
    """

    top_action: float
    kl: float | None
    states: int

    def to_json(self) -> dict[str, float | int | None]:
        """Plain numbers; an infinite KL is null."""
        record = asdict(self)
        if self.kl is not None and not abs(self.kl) < float("inf"):
            record["kl"] = None
        return record


@final
@dataclass(frozen=True, slots=True)
class AgreementPair:
    """Agreement on the states that each of the two policies visits.

    Attributes:
        student_states: where the student goes: whether it is right where it will be.
        teacher_states: where the teacher goes.
    """

    student_states: Agreement
    teacher_states: Agreement

    def to_json(self) -> dict[str, dict[str, float | int | None]]:
        """Plain JSON types."""
        return {
            "student_states": self.student_states.to_json(),
            "teacher_states": self.teacher_states.to_json(),
        }


@torch.no_grad()
def agreement(teacher: Policy, student: Policy, observations: Tensor) -> Agreement:
    """Compare two policies on observations [N, ...], acting by mode.

    Raises:
        ShapeError: no observations, or policies of different action spaces.
    """
    if len(observations) == 0:
        raise ShapeError("agreement: no states to compare on")
    parts = observations.split(BATCH)
    teacher_raw = torch.cat([teacher.raw(part) for part in parts])
    ours, theirs = (
        teacher.info.head(teacher_raw),
        student.info.head(torch.cat([student.raw(part) for part in parts])),
    )
    if isinstance(ours, Categorical) and isinstance(theirs, Categorical):
        same = (ours.mode() == theirs.mode()).double().mean()
        kl = _categorical_kl(teacher, ours, theirs)
        return Agreement(float(same), kl, len(observations))
    return Agreement(
        float(_close(teacher, ours, theirs)), _continuous_kl(ours, theirs), len(observations)
    )


def _categorical_kl(teacher: Policy, ours: Categorical, theirs: Categorical) -> float:
    temperature = 1.0
    if isinstance(teacher.info.head, QValueHead):
        temperature = GAP.q_values * max(mean_action_gap(ours.logits), 1e-8)
    return float(categorical.kl(ours.logits / temperature, theirs.logits).mean())


def _continuous_kl(ours: Distribution, theirs: Distribution) -> float | None:
    if type(ours) is not type(theirs):
        return None
    return float(continuous_loss("kl", ours, theirs).mean())


def _close(teacher: Policy, ours: Distribution, theirs: Distribution) -> Tensor:
    head = teacher.info.head
    low, high = (torch.tensor(getattr(head, name)) for name in ("low", "high"))
    a, b = (out.mode().clamp(low, high) for out in (ours, theirs))
    width = torch.where((high - low).isfinite(), high - low, 1.0)
    return ((a - b).abs() <= CLOSE * width).double().mean()
