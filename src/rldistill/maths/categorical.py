"""Divergences between policies over A discrete actions.

Every function maps logits [..., A] to one number per state [...], in nats, and
averages nothing. p is where samples come from; q is what is being compared to
it. To sharpen a policy with a temperature, divide its logits before the call.

A logit of -inf masks an action. Where that makes a result inf, its gradient is still finite (and
0, but for q in nll): one such state shows in the loss and does not ruin the weights. An action
whose p(a) is 0, also by rounding from a finite logit, adds nothing, whatever q says of it.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rldistill.errors import SettingError, ShapeError


def kl(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL(p || q) = sum_a p(a) [log p(a) - log q(a)].

    Call kl(teacher, student) for the forward (mass-covering) divergence and
    kl(student, teacher) for the reverse (mode-seeking) one.

    Args:
        p_logits: [..., A]; -inf marks an action that p never takes.
        q_logits: [..., A].

    Returns:
        [...] in nats, >= 0; inf, with gradient 0, where p takes an action that q never takes.

    Raises:
        ShapeError: the action axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), KL loss, with teacher logits / tau.

    >>> kl(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.0])).item()
    0.0
    """
    _check_same_actions("kl", p_logits, q_logits)
    log_p, log_q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return _expectation(log_p, log_p - log_q)


def reverse_kl(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL(q || p) = sum_a q(a) [log q(a) - log p(a)]: the mode-seeking divergence.

    Equal to kl(q, p). With p the teacher, the student q pays for every action that the teacher
    avoids and nothing for a teacher's action that it leaves out.

    Args:
        p_logits: [..., A].
        q_logits: [..., A]; -inf marks an action that q never takes.

    Returns:
        [...] in nats, >= 0; inf, with gradient 0, where q takes an action that p never takes: a
        student of a teacher with masked actions needs the same mask.

    Raises:
        ShapeError: the action axes differ, or the other axes do not broadcast.

    Source: Gu et al. 2024 (MiniLLM, arXiv:2306.08543), per state.

    >>> reverse_kl(torch.tensor([0.0, -torch.inf]), torch.tensor([0.0, 0.0])).item()
    inf
    """
    _check_same_actions("reverse_kl", p_logits, q_logits)
    log_p, log_q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return _expectation(log_q, log_q - log_p)


def js(p_logits: Tensor, q_logits: Tensor, beta: float = 0.5) -> Tensor:
    """JS(p, q) = beta KL(p || m) + (1 - beta) KL(q || m), with m = beta p + (1 - beta) q.

    Symmetric at beta = 1/2. Divided by beta (1 - beta) it tends to KL(q || p) for beta -> 1 and to
    KL(p || q) for beta -> 0.

    Args:
        p_logits: [..., A]; -inf marks an action that p never takes.
        q_logits: [..., A]; -inf marks an action that q never takes.
        beta: weight of p, between 0 and 1, both excluded.

    Returns:
        [...] in nats, between 0 and the entropy of (beta, 1 - beta), at most ln 2: that much where
        no action is taken by both. Always finite.

    Raises:
        ShapeError: the action axes differ, or the other axes do not broadcast.
        SettingError: beta is not between 0 and 1.

    Source: Lin 1991, Divergence measures based on the Shannon entropy, equation 4.1; Agarwal et al.
    2024 (GKD, arXiv:2306.13649), equation 1.

    >>> round(js(torch.tensor([0.0, -torch.inf]), torch.tensor([-torch.inf, 0.0])).item(), 4)
    0.6931
    """
    _check_same_actions("js", p_logits, q_logits)
    log_p, log_q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    if not 0.0 < beta < 1.0:
        raise SettingError(f"js: beta must lie between 0 and 1, both excluded; got {beta}")
    first = beta * _kl_to_middle(log_p, log_q, beta)
    return first + (1 - beta) * _kl_to_middle(log_q, log_p, 1 - beta)


def cross_entropy(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """H(p, q) = - sum_a p(a) log q(a) = KL(p || q) + H(p).

    Its gradient with respect to q is that of kl(p, q).

    Args:
        p_logits: [..., A]; -inf marks an action that p never takes.
        q_logits: [..., A].

    Returns:
        [...] in nats, >= 0; inf, with gradient 0, where p takes an action that q never takes.

    Raises:
        ShapeError: the action axes differ, or the other axes do not broadcast.

    Source: Hinton et al. 2015 (arXiv:1503.02531), section 2, soft targets.

    >>> round(cross_entropy(torch.tensor([0.0, -torch.inf]), torch.tensor([0.0, 0.0])).item(), 4)
    0.6931
    """
    _check_same_actions("cross_entropy", p_logits, q_logits)
    return _expectation(p_logits.log_softmax(-1), -q_logits.log_softmax(-1))


def entropy(p_logits: Tensor) -> Tensor:
    """H(p) = - sum_a p(a) log p(a).

    Args:
        p_logits: [..., A]; -inf marks an action that p never takes.

    Returns:
        [...] in nats, between 0 and ln A.

    Raises:
        ShapeError: there is no action axis.

    Source: Shannon 1948, A mathematical theory of communication, section 6.

    >>> round(entropy(torch.tensor([0.0, 0.0, -torch.inf])).item(), 4)
    0.6931
    """
    _check_same_actions("entropy", p_logits, p_logits)
    log_p = p_logits.log_softmax(-1)
    return _expectation(log_p, -log_p)


def log_prob(logits: Tensor, actions: Tensor) -> Tensor:
    """log p(a) of given actions.

    Args:
        logits: [..., A]; -inf marks an action that is never taken.
        actions: int64 [...], 0 to A - 1.

    Returns:
        [...] in nats, <= 0; -inf for an action that is never taken.

    Raises:
        ShapeError: the actions are not those of the same states.

    Source: Williams 1992, Simple statistical gradient-following algorithms, section 4.

    >>> round(log_prob(torch.tensor([0.0, 0.0]), torch.tensor(1)).item(), 4)
    -0.6931
    """
    if logits.ndim == 0 or actions.shape != logits.shape[:-1]:
        raise ShapeError(
            f"log_prob: actions must have shape {tuple(logits.shape[:-1])}, one for each state; "
            f"got {tuple(actions.shape)}"
        )
    return logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def nll(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """- log q(a*), with a* = argmax_a p(a): cross-entropy with the greedy action of p.

    Args:
        p_logits: [..., A]; only the order counts, so Q-values will do. The lowest index wins a tie.
        q_logits: [..., A].

    Returns:
        [...] in nats, >= 0; inf where q never takes a*.

    Raises:
        ShapeError: the action axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), NLL loss.

    >>> round(nll(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0])).item(), 4)
    0.6931
    """
    shape = _check_same_actions("nll", p_logits, q_logits)
    best = p_logits.argmax(-1, keepdim=True).expand(*shape[:-1], 1)
    return -q_logits.log_softmax(-1).expand(shape).gather(-1, best).squeeze(-1)


def mse(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """sum_a [(p_a - mean p) - (q_a - mean q)]^2: squared distance of the centred logits.

    Logits that differ by a constant are the same policy, so the mean is taken off both. Rusu et al.
    compare Q-values, whose level has a meaning, and do not centre.

    An action that p masks has no target: it adds 0, and both means are over the others alone. The
    student's logit there moves neither the loss nor its gradient.

    Args:
        p_logits: [..., A]; -inf masks an action.
        q_logits: [..., A].

    Returns:
        [...] in squared units of the logits, >= 0; inf, with gradient 0, where q masks an action
        that p does not. A sum over the actions, not a mean.

    Raises:
        ShapeError: the action axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), MSE loss, here on centred logits.

    >>> mse(torch.tensor([1.0, 3.0]), torch.tensor([8.0, 8.0])).item()
    2.0
    """
    _check_same_actions("mse", p_logits, q_logits)
    allowed = p_logits != -torch.inf  # and not >, which would mask NaN too
    forbidden = allowed & (q_logits == -torch.inf)
    counted = allowed & ~forbidden
    gap = torch.where(counted, p_logits - q_logits, 0.0)
    mean = gap.sum(-1, keepdim=True) / counted.sum(-1, keepdim=True).clamp(min=1)
    squared = torch.where(counted, gap - mean, 0.0).square().sum(-1)
    return squared.masked_fill(forbidden.any(-1), torch.inf)


def squared_error(p_values: Tensor, q_values: Tensor) -> Tensor:
    """sum_a (p_a - q_a)^2: squared distance of Q-values, whose level has a meaning.

    An action that p masks has no target: it adds 0.

    Args:
        p_values: [..., A], units of reward; -inf masks an action.
        q_values: [..., A], units of reward.

    Returns:
        [...] in squared units of reward, >= 0; inf, with gradient 0, where q masks an action that
        p does not. A sum over the actions, not a mean.

    Raises:
        ShapeError: the action axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), MSE loss.

    >>> squared_error(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])).item()
    4.0
    """
    _check_same_actions("squared_error", p_values, q_values)
    allowed = p_values != -torch.inf  # and not >, which would mask NaN too
    forbidden = allowed & (q_values == -torch.inf)
    gap = torch.where(allowed & ~forbidden, p_values - q_values, 0.0)
    return gap.square().sum(-1).masked_fill(forbidden.any(-1), torch.inf)


def _expectation(log_p: Tensor, values: Tensor) -> Tensor:
    """sum_a p(a) values(a); an action with p(a) = 0 adds 0, even where its value is inf or NaN."""
    p = log_p.exp()
    # Not log_p > -inf: p(a) may underflow to 0 from a finite log_p, and 0 times inf is NaN.
    taken = p > 0
    infinite = taken & values.isinf()
    total = (p * torch.where(taken & ~infinite, values, 0.0)).sum(-1)
    return total.masked_fill(infinite.any(-1), torch.inf)


def _kl_to_middle(log_p: Tensor, log_q: Tensor, share: float) -> Tensor:
    """KL(p || share p + (1 - share) q), from log p/m = logsigmoid(gap) - log share."""
    gap = torch.where(log_p.exp() > 0, log_p - log_q, 0.0) + math.log(share / (1 - share))
    return _expectation(log_p, logsigmoid(gap) - math.log(share))


def _check_same_actions(caller: str, p_logits: Tensor, q_logits: Tensor) -> torch.Size:
    if p_logits.ndim == 0 or q_logits.ndim == 0:
        raise ShapeError(f"{caller}: logits must have an action axis, [..., A]; got a scalar")
    if p_logits.shape[-1] != q_logits.shape[-1]:
        raise ShapeError(
            f"{caller}: p has {p_logits.shape[-1]} actions and q has {q_logits.shape[-1]} "
            f"(shapes {tuple(p_logits.shape)} and {tuple(q_logits.shape)}); "
            "the last axis must be the action axis of the same task"
        )
    try:
        return torch.broadcast_shapes(p_logits.shape, q_logits.shape)
    except RuntimeError as error:
        raise ShapeError(
            f"{caller}: p has shape {tuple(p_logits.shape)} and q has {tuple(q_logits.shape)}; "
            "the axes before the action axis must be the same states"
        ) from error
