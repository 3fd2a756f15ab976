"""Divergences between Gaussian policies over D continuous action dimensions.

Every function maps means and log standard deviations [..., D] to one number per state [...], in
nats, summed over D, and averages nothing. p is where samples come from; q is what is being compared
to it. log_std may also be [D], one for all states. All are finite in float32, gradients too, for
log_std between -20 and 20 and means that differ by up to 1e6.
"""

import math
from typing import NoReturn

import torch
from torch import Tensor

from rldistill.errors import SettingError, ShapeError

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def squash(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """low + (tanh(u) + 1) / 2 * (high - low): the bounded action of an unbounded u [..., D].

    Args:
        u: [..., D], without unit.
        low: [D], environment units.
        high: [D], environment units.

    Returns:
        [..., D] in environment units, between low and high.

    Source: Haarnoja et al. 2018 (arXiv:1801.01290), appendix C, with bounds.

    >>> squash(torch.zeros(1), torch.tensor([1.0]), torch.tensor([3.0])).item()
    2.0
    """
    return low + (u.tanh() + 1.0) * 0.5 * (high - low)


def kl(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """KL(p || q) = sum_d [log s_q/s_p + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2].

    Call with p = teacher for the forward divergence.

    Args:
        p_mean: [..., D], environment units.
        p_log_std: [..., D] or [D], log of environment units.
        q_mean: [..., D].
        q_log_std: [..., D] or [D].

    Returns:
        [...] in nats, >= 0.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Kingma and Welling 2014 (arXiv:1312.6114), appendix B, for two general normals.

    >>> kl(*torch.tensor([[1.0], [0.0], [0.0], [0.0]])).item()
    0.5
    """
    check_same_actions("kl", p_mean, p_log_std, q_mean, q_log_std)
    # Twice the log ratio, not s_p^2 / s_q^2: either square alone may leave the range of float32.
    log_ratio = p_log_std - q_log_std
    gap = (p_mean - q_mean) * (-q_log_std).exp()
    return (0.5 * ((2 * log_ratio).expm1() + gap.square()) - log_ratio).sum(-1)


def reverse_kl(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """KL(q || p): kl with the two policies exchanged; mode-seeking when p is the teacher.

    Args:
        p_mean: [..., D], environment units.
        p_log_std: [..., D] or [D], log of environment units.
        q_mean: [..., D].
        q_log_std: [..., D] or [D].

    Returns:
        [...] in nats, >= 0.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: as kl.

    >>> round(reverse_kl(*torch.tensor([[0.0], [0.0], [0.0], [1.0]])).item(), 4)
    2.1945
    """
    check_same_actions("reverse_kl", p_mean, p_log_std, q_mean, q_log_std)
    return kl(q_mean, q_log_std, p_mean, p_log_std)


def js(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> NoReturn:
    """JS(p, q) of two Gaussians has no closed form: always raises.

    Args:
        p_mean: [..., D].
        p_log_std: [..., D] or [D].
        q_mean: [..., D].
        q_log_std: [..., D] or [D].

    Raises:
        SettingError: always.

    Source: Nielsen 2019 (arXiv:1904.04017), abstract.

    >>> js(*torch.zeros(4, 1))
    Traceback (most recent call last):
    ...
    rldistill.errors.SettingError: js has no closed form for Gaussian policies; use kl or reverse_kl
    """
    del p_mean, p_log_std, q_mean, q_log_std
    raise SettingError("js has no closed form for Gaussian policies; use kl or reverse_kl")


def cross_entropy(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """H(p, q) = - E_{a ~ p} log q(a) = KL(p || q) + H(p).

    In full: sum_d [log s_q + log(2 pi) / 2 + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2)].

    Args:
        p_mean: [..., D], environment units.
        p_log_std: [..., D] or [D], log of environment units.
        q_mean: [..., D].
        q_log_std: [..., D] or [D].

    Returns:
        [...] in nats of a density per environment unit, so it may be negative.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Cover and Thomas 2006, Elements of information theory, sections 8.1 and 8.5.

    >>> round(cross_entropy(*torch.tensor([[1.0], [0.0], [0.0], [0.0]])).item(), 4)
    1.9189
    """
    check_same_actions("cross_entropy", p_mean, p_log_std, q_mean, q_log_std)
    gap = (p_mean - q_mean) * (-q_log_std).exp()
    spread = (2 * (p_log_std - q_log_std)).exp() + gap.square()
    return (0.5 * spread + q_log_std + HALF_LOG_TWO_PI).sum(-1)


def entropy(p_mean: Tensor, p_log_std: Tensor) -> Tensor:
    """H(p) = sum_d [log s_p + log(2 pi e) / 2].

    Args:
        p_mean: [..., D]; gives its shape to the result and nothing else.
        p_log_std: [..., D] or [D], log of environment units.

    Returns:
        [...] in nats of a density per environment unit, so it may be negative.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Cover and Thomas 2006, Elements of information theory, example 8.1.2.

    >>> round(entropy(torch.zeros(1), torch.zeros(1)).item(), 4)
    1.4189
    """
    shape = check_same_actions("entropy", p_mean, p_log_std)
    return (p_log_std + (HALF_LOG_TWO_PI + 0.5)).expand(shape).sum(-1)


def log_prob(mean: Tensor, log_std: Tensor, actions: Tensor) -> Tensor:
    """log p(a) = - sum_d [(a - m)^2 / (2 s^2) + log s + log(2 pi) / 2].

    Args:
        mean: [..., D], environment units.
        log_std: [..., D] or [D], log of environment units.
        actions: [..., D], environment units, as drawn: not clipped to the bounds.

    Returns:
        [...] in nats of a density per environment unit, so it may be positive.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Williams 1992, Simple statistical gradient-following algorithms, section 6.

    >>> round(log_prob(torch.zeros(1), torch.zeros(1), torch.ones(1)).item(), 4)
    -1.4189
    """
    return -nll(actions, log_std, mean, log_std)


def nll(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """- log q(m_p) = sum_d [(m_p - m_q)^2 / (2 s_q^2) + log s_q + log(2 pi) / 2].

    The negative log-likelihood of the most probable action of p. It alone drives s_q to 0 where
    the means agree.

    Args:
        p_mean: [..., D], environment units.
        p_log_std: [..., D] or [D]; of no effect, here so that all functions are called alike.
        q_mean: [..., D].
        q_log_std: [..., D] or [D], log of environment units.

    Returns:
        [...] in nats of a density per environment unit, so it may be negative.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), NLL loss, for a normal density.

    >>> round(nll(*torch.tensor([[1.0], [0.0], [0.0], [0.0]])).item(), 4)
    1.4189
    """
    check_same_actions("nll", p_mean, p_log_std, q_mean, q_log_std)
    gap = (p_mean - q_mean) * (-q_log_std).exp()
    return (0.5 * gap.square() + q_log_std + HALF_LOG_TWO_PI).sum(-1)


def mse(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """sum_d (m_p - m_q)^2: squared distance of the means.

    Args:
        p_mean: [..., D], environment units.
        p_log_std: [..., D] or [D]; of no effect, here so that all functions are called alike.
        q_mean: [..., D].
        q_log_std: [..., D] or [D]; of no effect.

    Returns:
        [...] in squared environment units, >= 0. A sum over D, not a mean.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), MSE loss, on means.

    >>> mse(*torch.tensor([[3.0], [0.0], [1.0], [0.0]])).item()
    4.0
    """
    check_same_actions("mse", p_mean, p_log_std, q_mean, q_log_std)
    return (p_mean - q_mean).square().sum(-1)


def check_same_actions(caller: str, *tensors: Tensor) -> torch.Size:
    """Return the common shape [..., D] of tensors whose last axis is the same D.

    Args:
        caller: name of the function, for the message.
        tensors: each [..., D]; the axes before D must broadcast.

    Raises:
        ShapeError: a last axis is missing or differs, or the other axes do not broadcast.

    >>> check_same_actions("kl", torch.zeros(5, 3), torch.zeros(3))
    torch.Size([5, 3])
    """
    shapes = [tuple(tensor.shape) for tensor in tensors]
    try:
        if len({shape[-1:] for shape in shapes} - {()}) == 1 and () not in shapes:
            return torch.broadcast_shapes(*shapes)
    except RuntimeError:
        pass
    raise ShapeError(
        f"{caller}: the last axis must be the D action dimensions of the same task and the other "
        f"axes the same states; got shapes {', '.join(map(str, shapes))}"
    )
