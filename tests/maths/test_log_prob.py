"""log_prob of every family, and js between its two limits."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rldistill.core import Categorical, Gaussian, SquashedGaussian
from rldistill.errors import SettingError, ShapeError
from rldistill.maths import categorical, gaussian, squashed

F64 = torch.float64
triples = st.lists(st.floats(-5, 5), min_size=3, max_size=3).map(
    lambda x: torch.tensor(x, dtype=F64)
)
inside = st.lists(st.floats(-0.99, 0.99), min_size=3, max_size=3).map(
    lambda x: torch.tensor(x, dtype=F64)
)
spreads = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(
    lambda x: torch.tensor(x, dtype=F64)
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@given(triples, st.integers(0, 2))
def test_categorical_is_torchs(logits, action):
    expected = torch.distributions.Categorical(logits=logits).log_prob(torch.tensor(action))
    torch.testing.assert_close(categorical.log_prob(logits, torch.tensor(action)), expected)


@given(triples, spreads, triples)
def test_gaussian_is_torchs(mean, log_std, action):
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum()
    torch.testing.assert_close(gaussian.log_prob(mean, log_std, action), expected)


@given(triples, spreads, inside)
def test_squashed_is_torchs(mean, log_std, action):
    normal = torch.distributions.Normal(mean, log_std.exp())
    law = torch.distributions.TransformedDistribution(
        normal, [torch.distributions.TanhTransform(cache_size=1)]
    )
    expected = law.log_prob(action).sum()
    torch.testing.assert_close(squashed.log_prob(mean, log_std, action), expected)


@pytest.mark.parametrize("function", [gaussian.log_prob, squashed.log_prob])
def test_continuous_gradients_are_right(function):
    inputs = (draw(4, 2).requires_grad_(), (0.3 * draw(4, 2, seed=1)).requires_grad_())
    actions = draw(4, 2, seed=2).tanh()
    assert torch.autograd.gradcheck(lambda m, s: function(m, s, actions), inputs)


def test_categorical_gradient_is_right():
    actions = torch.tensor([0, 2, 1])
    logits = draw(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: categorical.log_prob(x, actions), (logits,))


def test_a_masked_action_is_never_taken_and_spares_the_others():
    logits = torch.tensor([[0.0, 0.0, -torch.inf]], requires_grad=True)
    assert categorical.log_prob(logits, torch.tensor([2])).item() == -math.inf
    found = categorical.log_prob(logits, torch.tensor([0]))
    assert found.item() == pytest.approx(-math.log(2))
    found.sum().backward()
    assert logits.grad.isfinite().all()


def test_one_action_is_certain():
    assert categorical.log_prob(torch.tensor([[7.0]]), torch.tensor([0])).item() == 0.0


@pytest.mark.parametrize(
    ("logits", "actions"), [((2, 3), (3,)), ((2, 3), (2, 1)), ((), ()), ((5, 2, 3), (2, 5))]
)
def test_actions_of_other_states_are_named(logits, actions):
    with pytest.raises(ShapeError, match="one for each state"):
        categorical.log_prob(torch.zeros(logits), torch.zeros(actions, dtype=torch.int64))


def test_actions_of_another_size_are_named():
    for maths in (gaussian, squashed):
        with pytest.raises(ShapeError):
            maths.log_prob(torch.zeros(4, 2), torch.zeros(2), torch.zeros(4, 3))


@pytest.mark.parametrize("action", [-1.0, 1.0])
def test_an_action_on_a_bound_is_finite_with_a_finite_gradient(action):
    mean = torch.zeros(1, requires_grad=True)
    found = squashed.log_prob(mean, torch.zeros(1), torch.tensor([action]))
    found.backward()
    assert found.isfinite()
    assert mean.grad.isfinite().all()


def test_a_density_integrates_to_1():
    """Over the environment's range, in half ranges."""
    policy = SquashedGaussian(
        torch.tensor([0.3], dtype=F64), torch.tensor([-0.5], dtype=F64),
        torch.tensor([1.0], dtype=F64), torch.tensor([5.0], dtype=F64),
    )  # fmt: skip
    edges = torch.linspace(1.0, 5.0, 20_001, dtype=F64)
    middles = (edges[1:] + edges[:-1]) / 2
    density = policy.log_prob(middles[:, None]).exp()
    assert float((density / 10_000).sum()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", ["categorical", "gaussian", "squashed"])
def test_entropy_is_minus_the_mean_log_probability_of_samples(kind):
    """Within five standard errors; log_prob, sample and entropy are of one policy."""
    generator = torch.Generator().manual_seed(0)
    count = 40_000
    mean, log_std = draw(2).expand(count, 2), torch.tensor([-0.5, 0.2], dtype=F64).expand(count, 2)
    low, high = torch.tensor([-1.0, 0.0], dtype=F64), torch.tensor([1.0, 6.0], dtype=F64)
    policy = {
        "categorical": Categorical(draw(4).expand(count, 4)),
        "gaussian": Gaussian(mean, log_std),
        "squashed": SquashedGaussian(mean, log_std, low, high),
    }[kind]
    found = -policy.log_prob(policy.sample(generator))
    gap = float(found.mean() - policy.entropy()[0])
    assert abs(gap) < 5 * float(found.std()) / count**0.5


@given(triples, triples)
def test_js_tends_to_the_two_kls(p, q):
    """Divided by beta (1 - beta): KL(p || q) for beta -> 0, KL(q || p) for beta -> 1."""
    beta = 1e-7
    scale = beta * (1 - beta)
    close = {"rtol": 1e-3, "atol": 1e-5}
    forward, reverse = categorical.js(p, q, beta) / scale, categorical.js(p, q, 1 - beta) / scale
    torch.testing.assert_close(forward, categorical.kl(p, q), **close)
    torch.testing.assert_close(reverse, categorical.kl(q, p), **close)


@given(triples, triples, st.floats(0.01, 0.99))
def test_js_changes_sides_with_its_policies_and_is_bounded(p, q, beta):
    found = categorical.js(p, q, beta)
    torch.testing.assert_close(found, categorical.js(q, p, 1 - beta), rtol=1e-9, atol=1e-12)
    bound = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
    assert -1e-12 <= float(found) <= bound + 1e-12


def test_js_by_hand():
    """p = (1, 0), q = (1/2, 1/2), beta 1/4: m = (5/8, 3/8)."""
    p, q = torch.tensor([0.0, -torch.inf]), torch.tensor([0.0, 0.0])
    expected = 0.25 * math.log(8 / 5) + 0.75 * (0.5 * math.log(4 / 5) + 0.5 * math.log(4 / 3))
    assert categorical.js(p, q, 0.25).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("beta", [0.0, 1.0, -0.1, math.nan])
def test_js_needs_a_weight_between_0_and_1(beta):
    with pytest.raises(SettingError, match=r"beta must lie between 0 and 1"):
        categorical.js(torch.zeros(2), torch.zeros(2), beta)


def test_js_gradient_is_right_for_any_weight():
    inputs = (draw(3, 4).requires_grad_(), draw(3, 4, seed=1).requires_grad_())
    assert torch.autograd.gradcheck(lambda p, q: categorical.js(p, q, 0.1), inputs)
