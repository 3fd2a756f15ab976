"""Divergences between tanh-squashed Gaussian policies over D action dimensions (SAC, TQC).

The action is a = tanh(u), u normal with the given mean and log standard deviation [..., D]; its
unit is half of the environment's range, so a lies in (-1, 1). Every function gives one number per
state [...], summed over D, and averages nothing. p is where samples come from; q is compared to it.
The limits of gaussian hold here too.

kl and reverse_kl are those of the normals before tanh: a = tanh(u) is one-to-one and the same for p
and q, so both densities are divided by the same |da/du| = 1 - a^2, which cancels in their ratio.
(The same holds for the affine map to environment units.) It does not cancel in a single logarithm:
nll, cross_entropy and entropy carry the expected log(1 - a^2).
"""

import math
from typing import NoReturn

import torch
from torch import Tensor
from torch.nn.functional import softplus

from rldistill.errors import SettingError
from rldistill.maths import gaussian

# Nodes of the trapezoid rule over +-8 standard deviations. log(1 - tanh^2) is analytic, so the
# error falls geometrically with the spacing of the nodes, where a Gauss rule would lag behind.
NUM_NODES = 129
REACH = 8.0
# tanh rounds to 1 in float32 from u = 9 on; atanh of this is 7.6.
EDGE = 1e-6


def kl(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """KL(p || q) of the squashed policies = KL of the normals before tanh (see the module).

    Call with p = teacher for the forward divergence. Both policies need the same action bounds.

    Args:
        p_mean: [..., D], before tanh.
        p_log_std: [..., D] or [D], before tanh.
        q_mean: [..., D].
        q_log_std: [..., D] or [D].

    Returns:
        [...] in nats, >= 0.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Kullback and Leibler 1951, On information and sufficiency: invariance under one-to-one
    maps.

    >>> kl(*torch.tensor([[1.0], [0.0], [0.0], [0.0]])).item()
    0.5
    """
    return gaussian.kl(p_mean, p_log_std, q_mean, q_log_std)


def reverse_kl(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """KL(q || p) of the squashed policies = KL of the normals before tanh (see the module).

    Args:
        p_mean: [..., D], before tanh.
        p_log_std: [..., D] or [D], before tanh.
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
    return gaussian.reverse_kl(p_mean, p_log_std, q_mean, q_log_std)


def js(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> NoReturn:
    """JS(p, q) equals that of the normals before tanh, which has no closed form: always raises.

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
    rldistill.errors.SettingError: js has no closed form for squashed policies; use kl or reverse_kl
    """
    del p_mean, p_log_std, q_mean, q_log_std
    raise SettingError("js has no closed form for squashed policies; use kl or reverse_kl")


def cross_entropy(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """H(p, q) = - E_{a ~ p} log q(a) = KL(p || q) + H(p).

    That of the normals before tanh, plus sum_d E_{u ~ p} log(1 - tanh(u)^2), a number that does not
    depend on q: with respect to q its gradient is that of kl(p, q).

    Args:
        p_mean: [..., D], before tanh.
        p_log_std: [..., D] or [D], before tanh.
        q_mean: [..., D].
        q_log_std: [..., D] or [D].

    Returns:
        [...] in nats of a density per half range, so it may be negative. As exact as entropy.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Haarnoja et al. 2018 (arXiv:1801.01290), appendix C, equation 21, in expectation.

    >>> round(cross_entropy(*torch.zeros(4, 1)).item(), 4)
    0.6698
    """
    before = gaussian.cross_entropy(p_mean, p_log_std, q_mean, q_log_std)
    return before + _expected_log_slope(p_mean, p_log_std)


def entropy(p_mean: Tensor, p_log_std: Tensor) -> Tensor:
    """H(p) = H(u) + sum_d E_{u ~ p} log(1 - tanh(u)^2), u the normal before tanh.

    The expectation has no closed form and is a trapezoid sum, without sampling: its error is below
    1e-5 nats per dimension (and rounding) up to log_std = 2, where SAC clips, and below 0.3 % of
    the standard deviation beyond.

    Args:
        p_mean: [..., D], before tanh.
        p_log_std: [..., D] or [D], before tanh.

    Returns:
        [...] in nats of a density per half range, at most D ln 2 (uniform actions). For a density
        per environment unit add sum_d log((high - low) / 2).

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Haarnoja et al. 2018 (arXiv:1801.01290), appendix C, equation 21, in expectation.

    >>> round(entropy(torch.zeros(1), torch.zeros(1)).item(), 4)
    0.6698
    """
    return gaussian.entropy(p_mean, p_log_std) + _expected_log_slope(p_mean, p_log_std)


def log_prob(mean: Tensor, log_std: Tensor, actions: Tensor) -> Tensor:
    """log p(a) = log N(u; m, s) - sum_d log(1 - tanh(u)^2), with u = atanh(a).

    An action that rounding put on a bound is taken to lie EDGE inside it.

    Args:
        mean: [..., D], before tanh.
        log_std: [..., D] or [D], before tanh.
        actions: [..., D], in half ranges: between -1 and 1.

    Returns:
        [...] in nats of a density per half range.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Haarnoja et al. 2018 (arXiv:1801.01290), appendix C, equation 21.

    >>> round(log_prob(torch.zeros(1), torch.zeros(1), torch.zeros(1)).item(), 4)
    -0.9189
    """
    u = actions.clamp(EDGE - 1.0, 1.0 - EDGE).atanh()
    return gaussian.log_prob(mean, log_std, u) - _log_slope(u).sum(-1)


def nll(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """- log q(a*), with a* = tanh(m_p), the deterministic action of p.

    sum_d [(m_p - m_q)^2 / (2 s_q^2) + log s_q + log(2 pi) / 2 + log(1 - tanh(m_p)^2)].

    Args:
        p_mean: [..., D], before tanh.
        p_log_std: [..., D] or [D]; of no effect, here so that all functions are called alike.
        q_mean: [..., D].
        q_log_std: [..., D] or [D], before tanh.

    Returns:
        [...] in nats of a density per half range, so it may be negative.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Haarnoja et al. 2018 (arXiv:1801.01290), appendix C, equation 21.

    >>> round(nll(*torch.zeros(4, 1)).item(), 4)
    0.9189
    """
    return gaussian.nll(p_mean, p_log_std, q_mean, q_log_std) + _log_slope(p_mean).sum(-1)


def mse(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """sum_d (tanh(m_p) - tanh(m_q))^2: squared distance of the deterministic actions.

    Args:
        p_mean: [..., D], before tanh.
        p_log_std: [..., D] or [D]; of no effect, here so that all functions are called alike.
        q_mean: [..., D], before tanh.
        q_log_std: [..., D] or [D]; of no effect.

    Returns:
        [...] in squared half ranges, between 0 and 4 D. A sum over D, not a mean.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), MSE loss, on deterministic actions.

    >>> mse(*torch.tensor([[30.0], [0.0], [-30.0], [0.0]])).item()
    4.0
    """
    gaussian.check_same_actions("mse", p_mean, p_log_std, q_mean, q_log_std)
    return (p_mean.tanh() - q_mean.tanh()).square().sum(-1)


def _log_slope(u: Tensor) -> Tensor:
    """log(da/du) = log(1 - tanh(u)^2), in a form that stays finite where tanh(u) rounds to 1."""
    return 2 * (math.log(2) - u - softplus(-2 * u))


def _expected_log_slope(mean: Tensor, log_std: Tensor) -> Tensor:
    """sum_d E log(1 - tanh(u)^2) for u normal: [...]."""
    z = torch.linspace(-REACH, REACH, NUM_NODES, dtype=mean.dtype, device=mean.device)
    weights = (-0.5 * z.square()).softmax(-1)
    u = mean[..., None] + log_std.exp()[..., None] * z
    return (_log_slope(u) * weights).sum((-2, -1))
