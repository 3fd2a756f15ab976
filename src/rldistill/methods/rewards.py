"""The reward terms and the gate of a row on a trajectory, as plain functions of tensors."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rldistill.errors import SettingError
from rldistill.methods.credit import Credit
from rldistill.methods.method import Gate

# A soft gate's weight is at most this.
LARGEST_GATE = 10.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StepTerms:
    """What the terms of r_hat are made of, on a trajectory of T steps in B environments.

    Attributes:
        rewards: [T, B], in the unit in which the credit counts them.
        terminated: [T, B] bool.
        log_teacher: [T, B] log pi(a_t | s_t), nats.
        log_student: [T, B] log pi_theta(a_t | s_t), nats.
        teacher_values: [T + 1, B] V_pi(s_t), the unit of rewards; None where it is not used.
        losses: [T + 1, B] l(s_t), nats; None where it is not used.
    """

    rewards: Tensor
    terminated: Tensor
    log_teacher: Tensor
    log_student: Tensor
    teacher_values: Tensor | None = None
    losses: Tensor | None = None


def step_credit(credit: Credit, terms: StepTerms, gamma: float) -> Tensor:
    """r_hat_t for every step, as in Credit.

    Args:
        credit: the weights.
        terms: [T, B] and [T + 1, B].
        gamma: discount per environment step.

    Returns:
        [T, B], no gradient. Its return-to-go (n-step return, GAE) is R_hat.

    Raises:
        SettingError: a term that the weights ask for was not given.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), table 1.

    >>> step = StepTerms(
    ...     rewards=torch.tensor([[1.0]]),
    ...     terminated=torch.tensor([[False]]),
    ...     log_teacher=torch.tensor([[-0.5]]),
    ...     log_student=torch.tensor([[-2.0]]),
    ... )
    >>> step_credit(Credit(reward=1.0, log_teacher=1.0, log_student=1.0), step, gamma=0.9)
    tensor([[2.5000]])
    """
    total = credit.reward * terms.rewards
    if credit.log_teacher:
        total = total + credit.log_teacher * terms.log_teacher
    if credit.log_student:
        total = total - credit.log_student * terms.log_student
    if credit.needs_teacher_value:
        if terms.teacher_values is None:
            raise SettingError("this credit needs the teacher's values [T + 1, B]")
        after = gamma * torch.where(terms.terminated, 0.0, terms.teacher_values[1:])
        total = total + (credit.shaping + credit.bootstrap) * after
        total = total - credit.shaping * terms.teacher_values[:-1]
    if credit.next_loss:
        if terms.losses is None:
            raise SettingError("this credit needs the losses [T + 1, B] of a row with a loss")
        after = gamma * torch.where(terms.terminated, 0.0, terms.losses[1:])
        total = total - credit.next_loss * after
    return total.detach()


def gate_weights(gate: Gate, gap: Tensor) -> Tensor:
    """What the loss is multiplied by, for the value gap xi = V_pi - V_pi_theta [...], as in Gate.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), proposition 2; Lai et al. 2020
    (arXiv:2006.04061), section 4.

    >>> gate_weights(Gate(), torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 1.])
    """
    if gate.alpha is None:
        return (gap > 0.0).to(gap.dtype)
    return (gate.alpha * gap).exp().clamp(max=LARGEST_GATE)
