"""Divergences between deterministic policies over D action dimensions (TD3, DDPG, ARS).

Two points have no finite divergence, so each stands for the centre of a normal with the same fixed
standard deviation `std`. Every function maps actions [..., D] to one number per state [...], in
nats, summed over D, and averages nothing. p is where samples come from; q is compared to it.
"""

import math
from typing import NoReturn

from torch import Tensor

from rldistill.errors import SettingError
from rldistill.maths import gaussian


def kl(p_action: Tensor, q_action: Tensor, std: Tensor | float) -> Tensor:
    """KL(N(p, std) || N(q, std)) = sum_d (p - q)^2 / (2 std^2); symmetric.

    Args:
        p_action: [..., D], environment units.
        q_action: [..., D].
        std: > 0, environment units: a number, or [D]. A tensor's values are not checked, for that
            would make an accelerator wait.

    Returns:
        [...] in nats, >= 0.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.
        SettingError: std is a number that is not above 0.

    Source: Kingma and Welling 2014 (arXiv:1312.6114), appendix B, with equal variances.

    >>> import torch
    >>> kl(torch.tensor([3.0]), torch.tensor([1.0]), 2.0).item()
    0.5
    """
    scale = _checked_std("kl", std, p_action, q_action)
    return 0.5 * ((p_action - q_action) / scale).square().sum(-1)


def reverse_kl(p_action: Tensor, q_action: Tensor, std: Tensor | float) -> Tensor:
    """KL(N(q, std) || N(p, std)): equal to kl, since both have the same std.

    Args:
        p_action: [..., D], environment units.
        q_action: [..., D].
        std: > 0, environment units: a number, or [D], not checked.

    Returns:
        [...] in nats, >= 0.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.
        SettingError: std is a number that is not above 0.

    Source: as kl.

    >>> import torch
    >>> reverse_kl(torch.tensor([3.0]), torch.tensor([1.0]), 2.0).item()
    0.5
    """
    return kl(p_action, q_action, std)


def js(p_action: Tensor, q_action: Tensor, std: Tensor | float) -> NoReturn:
    """JS of two normals has no closed form: always raises.

    Args:
        p_action: [..., D].
        q_action: [..., D].
        std: a number, or [D].

    Raises:
        SettingError: always.

    Source: Nielsen 2019 (arXiv:1904.04017), abstract.

    >>> import torch
    >>> js(torch.zeros(1), torch.zeros(1), 1.0)
    Traceback (most recent call last):
    ...
    rldistill.errors.SettingError: js has no closed form for deterministic policies; use kl or mse
    """
    del p_action, q_action, std
    raise SettingError("js has no closed form for deterministic policies; use kl or mse")


def cross_entropy(p_action: Tensor, q_action: Tensor, std: Tensor | float) -> Tensor:
    """H(p, q) = sum_d [(p - q)^2 / (2 std^2) + log std + log(2 pi e) / 2] = KL(p || q) + H(p).

    Args:
        p_action: [..., D], environment units.
        q_action: [..., D].
        std: > 0, environment units: a number, or [D], not checked.

    Returns:
        [...] in nats of a density per environment unit, so it may be negative.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.
        SettingError: std is a number that is not above 0.

    Source: Cover and Thomas 2006, Elements of information theory, sections 8.1 and 8.5.

    >>> import torch
    >>> round(cross_entropy(torch.tensor([1.0]), torch.tensor([0.0]), 1.0).item(), 4)
    1.9189
    """
    return kl(p_action, q_action, std) + entropy(p_action, std)


def entropy(p_action: Tensor, std: Tensor | float) -> Tensor:
    """H(N(p, std)) = sum_d [log std + log(2 pi e) / 2]: the same in every state.

    Args:
        p_action: [..., D]; gives its shape to the result and nothing else.
        std: > 0, environment units: a number, or [D], not checked.

    Returns:
        [...] in nats of a density per environment unit, so it may be negative.

    Raises:
        ShapeError: the last axes differ.
        SettingError: std is a number that is not above 0.

    Source: Cover and Thomas 2006, Elements of information theory, example 8.1.2.

    >>> import torch
    >>> round(entropy(torch.zeros(1), 1.0).item(), 4)
    1.4189
    """
    scale = _checked_std("entropy", std, p_action)
    return gaussian.entropy(p_action, scale.log())


def nll(p_action: Tensor, q_action: Tensor, std: Tensor | float) -> Tensor:
    """- log N(p; q, std) = sum_d [(p - q)^2 / (2 std^2) + log std + log(2 pi) / 2].

    Args:
        p_action: [..., D], environment units.
        q_action: [..., D].
        std: > 0, environment units: a number, or [D], not checked.

    Returns:
        [...] in nats of a density per environment unit, so it may be negative.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.
        SettingError: std is a number that is not above 0.

    Source: Rusu et al. 2016 (arXiv:1511.06295), NLL loss, for a normal density.

    >>> import torch
    >>> round(nll(torch.tensor([1.0]), torch.tensor([0.0]), 1.0).item(), 4)
    1.4189
    """
    # The entropy has log(2 pi e) / 2 where the density at one point has log(2 pi) / 2.
    return cross_entropy(p_action, q_action, std) - 0.5 * p_action.shape[-1]


def mse(p_action: Tensor, q_action: Tensor) -> Tensor:
    """sum_d (p - q)^2: squared distance of the actions; it needs no std.

    Args:
        p_action: [..., D], environment units.
        q_action: [..., D].

    Returns:
        [...] in squared environment units, >= 0. A sum over D, not a mean.

    Raises:
        ShapeError: the last axes differ, or the other axes do not broadcast.

    Source: Rusu et al. 2016 (arXiv:1511.06295), MSE loss, on actions.

    >>> import torch
    >>> mse(torch.tensor([3.0]), torch.tensor([1.0])).item()
    4.0
    """
    gaussian.check_same_actions("mse", p_action, q_action)
    return (p_action - q_action).square().sum(-1)


def _checked_std(caller: str, std: Tensor | float, *actions: Tensor) -> Tensor:
    """std as a tensor [D], with the shapes checked."""
    if isinstance(std, Tensor):
        scale = std
    elif math.isfinite(std) and std > 0:
        scale = actions[0].new_full((), std)
    else:
        raise SettingError(f"{caller}: std must be a finite number above 0; got {std}")
    if scale.ndim == 0:
        scale = scale.expand(actions[0].shape[-1:])
    gaussian.check_same_actions(caller, *actions, scale)
    return scale
