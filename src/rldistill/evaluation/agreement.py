"""Agreement: how alike teacher and student act on the same states."""

from dataclasses import asdict, dataclass
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from rldistill.core import Categorical, CategoricalHead, Distribution, Head, Policy, QValueHead
from rldistill.core.recurrent import lanes
from rldistill.errors import ShapeError
from rldistill.maths import categorical
from rldistill.methods.catalogue import GAP
from rldistill.methods.terms import continuous_loss, mean_action_gap

Array = np.ndarray[Any, Any]
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


@final
@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two policies on the same N states, state by state.

    Attributes:
        teacher_raw, student_raw: [N, outputs] of each, as their heads read them.
        same: [N] float64: 1 where both choose the same action (discrete), or the share of action
            components within 5 % of their range (continuous).
        kl: [N] float64, KL(teacher || student) in nats; None where the families have no KL.
        temperatures: by which the logits of teacher and student were divided: of a Q-network a
            tenth of its own mean action gap, else 1.
    """

    teacher_raw: Tensor
    student_raw: Tensor
    same: Tensor
    kl: Tensor | None
    temperatures: tuple[float, float]

    def summary(self) -> Agreement:
        """The means over the states."""
        kl = None if self.kl is None else float(self.kl.mean())
        return Agreement(float(self.same.mean()), kl, len(self.same))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Where each of N states lies in its episode, for policies that remember what they saw.

    Attributes:
        episodes: [N] int64, its episode, from 0.
        steps: [N] int64, steps before it; every step of an episode up to its last is there.
    """

    episodes: Array
    steps: Array

    @classmethod
    def of_episode(cls, length: int) -> Self:
        """Of the states of one episode, in order."""
        return cls(np.zeros(length, np.int64), np.arange(length))


def agreement(
    teacher: Policy,
    student: Policy,
    observations: Tensor,
    teacher_observations: Tensor | None = None,
    order: Order | None = None,
) -> Agreement:
    """Compare two policies on N states, acting by mode.

    Args:
        teacher, student: who is compared.
        observations: [N, ...], what the student sees of the states.
        teacher_observations: [N, ...], what the teacher sees of the same; None: the same.
        order: where they lie in their episodes; only recurrent policies need it.

    Raises:
        ShapeError: no observations, or policies of different action spaces.
        TaskError: a policy is recurrent, and the order is not known.
    """
    return compare(teacher, student, observations, teacher_observations, order).summary()


@torch.no_grad()
def compare(
    teacher: Policy,
    student: Policy,
    observations: Tensor,
    teacher_observations: Tensor | None = None,
    order: Order | None = None,
) -> Comparison:
    """What agreement() is the mean of, for each of the N states.

    Raises:
        ShapeError: no observations, or policies of different action spaces.
        TaskError: a policy is recurrent, and the order is not known.
    """
    if len(observations) == 0:
        raise ShapeError("agreement: no states to compare on")
    heads = (teacher.info.head, student.info.head)
    shown = observations if teacher_observations is None else teacher_observations
    raw = [outputs_of(teacher, shown, order), outputs_of(student, observations, order)]
    ours, theirs = (head(out) for head, out in zip(heads, raw, strict=True))
    if isinstance(ours, Categorical) and isinstance(theirs, Categorical):
        if heads[0].num_outputs != heads[1].num_outputs:
            raise _different_actions(heads)
        same = (ours.mode() == theirs.mode()).double()
        tau, sigma = _temperature(heads[0], ours), _temperature(heads[1], theirs)
        kl = categorical.kl(ours.logits / tau, theirs.logits / sigma).double()
        return Comparison(raw[0], raw[1], same, kl, (tau, sigma))
    same = _close(heads, ours, theirs)
    alike = type(ours) is type(theirs)
    kl = continuous_loss("kl", heads[0], ours, theirs).double() if alike else None
    return Comparison(raw[0], raw[1], same, kl, (1.0, 1.0))


@torch.no_grad()
def outputs_of(policy: Policy, observations: Tensor, order: Order | None = None) -> Tensor:
    """A policy's raw outputs [N, outputs] for observations [N, ...].

    One that remembers sees every episode from its start on, all of them side by side.

    Raises:
        TaskError: it is recurrent, and the order is not known.
    """
    if order is None or not policy.info.is_recurrent:
        return torch.cat([policy.raw(part) for part in observations.split(BATCH)])
    state = policy.initial_state(int(order.episodes.max()) + 1)
    raw = torch.zeros((len(observations), policy.info.head.num_outputs), device=observations.device)
    by_step = np.argsort(order.steps, kind="stable")
    for rows in np.split(by_step, np.cumsum(np.bincount(order.steps))[:-1]):
        who = torch.from_numpy(order.episodes[rows]).to(observations.device)
        index = torch.from_numpy(rows).to(observations.device)
        raw[index], after = policy.step(observations[index], lanes(state, who))
        for whole, new in zip(state, after, strict=True):
            whole[who] = new
    return raw


def _temperature(head: Head, out: Categorical) -> float:
    """1 for logits; for a Q-network a tenth of its mean action gap."""
    if not isinstance(head, QValueHead):
        return 1.0
    return GAP.q_values * max(mean_action_gap(out.logits), 1e-8)


def _close(heads: tuple[Head, Head], ours: Distribution, theirs: Distribution) -> Tensor:
    head, other = heads
    discrete = (CategoricalHead, QValueHead)
    if isinstance(head, discrete) or isinstance(other, discrete) or len(head.low) != len(other.low):
        raise _different_actions(heads)
    like = ours.mode()
    low, high = like.new_tensor(head.low), like.new_tensor(head.high)
    a, b = (out.mode().clamp(low, high) for out in (ours, theirs))
    width = torch.where((high - low).isfinite(), high - low, 1.0)
    return ((a - b).abs() <= CLOSE * width).double().mean(-1)


def _different_actions(heads: tuple[Head, Head]) -> ShapeError:
    return ShapeError(
        f"agreement: the policies have different actions: teacher {heads[0]}, student {heads[1]}"
    )
