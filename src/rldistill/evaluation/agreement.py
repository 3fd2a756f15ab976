"""Agreement: how alike teacher and student act on the same states."""

from dataclasses import asdict, dataclass
from typing import final

import torch
from torch import Tensor

from rldistill.core import Categorical, CategoricalHead, Distribution, Head, Policy, QValueHead
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
        kl: mean KL(teacher || student) in nats. A Q-network's softmax, of either, has the
            temperature of a tenth of its own mean action gap. None where the families have no KL.
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
    heads = (teacher.info.head, student.info.head)
    ours, theirs = (
        policy.info.head(torch.cat([policy.raw(part) for part in observations.split(BATCH)]))
        for policy in (teacher, student)
    )
    if isinstance(ours, Categorical) and isinstance(theirs, Categorical):
        if heads[0].num_outputs != heads[1].num_outputs:
            raise _different_actions(heads)
        same = (ours.mode() == theirs.mode()).double().mean()
        p, q = (_log_odds(head, out) for head, out in zip(heads, (ours, theirs), strict=True))
        return Agreement(float(same), float(categorical.kl(p, q).mean()), len(observations))
    return Agreement(
        float(_close(heads, ours, theirs)),
        float(continuous_loss("kl", heads[0], ours, theirs).mean())
        if type(ours) is type(theirs)
        else None,
        len(observations),
    )


def _log_odds(head: Head, out: Categorical) -> Tensor:
    """Logits; those of a Q-network are its Q-values over a tenth of its mean action gap."""
    if not isinstance(head, QValueHead):
        return out.logits
    return out.logits / (GAP.q_values * max(mean_action_gap(out.logits), 1e-8))


def _close(heads: tuple[Head, Head], ours: Distribution, theirs: Distribution) -> Tensor:
    head, other = heads
    discrete = (CategoricalHead, QValueHead)
    if isinstance(head, discrete) or isinstance(other, discrete) or len(head.low) != len(other.low):
        raise _different_actions(heads)
    like = ours.mode()
    low, high = like.new_tensor(head.low), like.new_tensor(head.high)
    a, b = (out.mode().clamp(low, high) for out in (ours, theirs))
    width = torch.where((high - low).isfinite(), high - low, 1.0)
    return ((a - b).abs() <= CLOSE * width).double().mean()


def _different_actions(heads: tuple[Head, Head]) -> ShapeError:
    return ShapeError(
        f"agreement: the policies have different actions: teacher {heads[0]}, student {heads[1]}"
    )
