"""The fixed modules, by hand; that stable-baselines3 computes the same is in test_parity.py."""

import math

import pytest
import torch
from torch import Tensor, nn

from rldistill.teachers.layers import (
    Clip,
    ConstantStd,
    Critics,
    ExplorationStd,
    GreedyValue,
    QuantileMean,
    Rescale,
    SoftValue,
    StateStd,
)
from rldistill.teachers.sb3_actor import NUM_DRAWS, draws


def linear(weight: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
    return layer.requires_grad_(False)


class Sum(nn.Module):
    """A critic: Q(s, a) = offset + sum of s and a."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(-1, keepdim=True) + self.offset


def test_constant_std_appends_the_same_numbers_to_every_state():
    layer = ConstantStd(linear([[2.0], [3.0]]), torch.tensor([-1.0, -2.0]))
    assert layer(torch.tensor([[1.0], [2.0]])).tolist() == [[2, 3, -1, -2], [4, 6, -1, -2]]


def test_state_std_is_clipped_to_minus_20_and_2():
    layer = StateStd(linear([[0.0]]), linear([[1.0]]))
    assert layer(torch.tensor([[50.0], [-50.0], [1.0]]))[:, 1].tolist() == [2.0, -20.0, 1.0]


def test_gsde_by_hand():
    """Latent (1, 2), stds (e^0, e^1): sigma^2 = 1 * 1 + 4 e^2 + 1e-6."""
    layer = ExplorationStd(linear([[1.0, 1.0]]), torch.tensor([[0.0], [1.0]]), use_expln=False)
    mean, log_std = layer(torch.tensor([[1.0, 2.0]]))[0].tolist()
    assert mean == 3.0
    assert math.exp(2 * log_std) == pytest.approx(1.0 + 4.0 * math.e**2 + 1e-6, rel=1e-6)


def test_expln_grows_like_a_logarithm_above_0():
    layer = ExplorationStd(linear([[0.0]]), torch.tensor([[3.0]]), use_expln=True)
    std = layer(torch.tensor([[1.0]]))[0, 1].exp().item()
    assert std == pytest.approx(math.log(4.0) + 1.0, rel=1e-5)


def test_rescale_and_clip_reach_the_bounds():
    low, high = torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])
    scaled = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    assert Rescale(low, high)(scaled).tolist() == [[-2, 0], [2, 1], [0, 0.5]]
    assert Clip(low, high)(torch.tensor([[-9.0, 9.0]])).tolist() == [[-2, 1]]


def test_quantiles_are_averaged_per_action():
    """Two quantiles of three actions, quantile by quantile."""
    layer = QuantileMean(2, 3)
    assert layer(torch.tensor([[1.0, 2, 3, 5, 6, 7]])).tolist() == [[3, 4, 5]]
    assert GreedyValue(layer)(torch.tensor([[1.0, 2, 3, 5, 6, 7]])).tolist() == [5]


def test_the_least_of_the_critics_counts():
    critics = Critics([Sum(0.0), Sum(-3.0), Sum(5.0)])
    assert critics(torch.tensor([[1.0]]), torch.tensor([[2.0]])).tolist() == [0.0]


def test_truncated_critics_drop_the_highest_quantiles_of_the_pool():
    class Quantiles(nn.Module):
        def __init__(self, *values: float) -> None:
            super().__init__()
            self.values = torch.tensor([values])

        def forward(self, x: Tensor) -> Tensor:
            return self.values.expand(len(x), -1)

    critics = Critics([Quantiles(1.0, 9.0), Quantiles(8.0, 3.0)], drop=2)
    assert critics(torch.zeros(1, 1), torch.zeros(1, 1)).tolist() == [2.0]


def test_soft_value_without_critic_is_alpha_times_the_entropy():
    """-E log pi against the change of variables of torch.distributions, over many draws."""
    actor = StateStd(linear([[0.3]]), linear([[-0.5]]))

    class Zero(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(*x.shape[:-1], 1)

    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    value = SoftValue(actor, Critics([Zero()]), 0.5, noise)(torch.tensor([[1.0]]))
    base = torch.distributions.Normal(torch.tensor([0.3]), torch.tensor([-0.5]).exp())
    squashed = torch.distributions.TransformedDistribution(
        base, torch.distributions.TanhTransform(cache_size=1)
    )
    torch.manual_seed(0)
    entropy = -squashed.log_prob(squashed.sample((20_000,))).mean()
    assert value.item() == pytest.approx(0.5 * entropy.item(), abs=0.02)


def test_soft_value_stays_finite_where_tanh_saturates():
    actor = StateStd(linear([[1.0]]), linear([[0.0]]))
    value = SoftValue(actor, Critics([Sum(0.0)]), 1.0, draws(1))
    assert value(torch.tensor([[-500.0], [500.0]])).isfinite().all()


def test_the_draws_are_antithetic_and_always_the_same():
    noise = draws(5)
    assert noise.shape == (NUM_DRAWS, 5)
    assert torch.equal(noise[: NUM_DRAWS // 2], -noise[NUM_DRAWS // 2 :])
    before = torch.get_rng_state()
    assert torch.equal(noise, draws(5))
    assert torch.equal(torch.get_rng_state(), before)
