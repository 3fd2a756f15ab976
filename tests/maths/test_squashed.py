import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from rldistill.errors import SettingError, ShapeError
from rldistill.maths import gaussian, squashed

PAIRS = [
    squashed.kl,
    squashed.reverse_kl,
    squashed.cross_entropy,
    squashed.nll,
    squashed.mse,
]


def vectors(low, high):
    numbers = st.lists(st.floats(low, high), min_size=3, max_size=3)
    return numbers.map(lambda x: torch.tensor(x, dtype=torch.float64))


policies = st.tuples(vectors(-3, 3), vectors(-3, 1))


def torch_squashed(mean, log_std):
    normal = Normal(mean, log_std.exp())
    return Independent(TransformedDistribution(normal, [TanhTransform(cache_size=1)]), 1)


def seeded(*shape):
    return [
        torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for seed in range(4)
    ]


def integral(mean, std, of):
    """Integral over u of N(u; mean, std) of(u), by scipy."""

    def density(u):
        return math.exp(-0.5 * ((u - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi)) * of(u)

    low, high = mean - 12 * std, mean + 12 * std
    bounds = sorted({low, high, *(x for x in (-20, -3, 0, 3, 20, mean) if low < x < high)})
    pieces = itertools.pairwise(bounds)
    return sum(quad(density, a, b, epsabs=1e-11, epsrel=1e-10, limit=200)[0] for a, b in pieces)


def log_slope(u):
    return 2 * (math.log(2) - abs(u) - math.log1p(math.exp(-2 * abs(u))))


def test_divergences_are_those_before_tanh():
    """By hand, p = N(1, 1), q = N(3, 2^2) before tanh: KL = ln 2 + (1 + 4) / 8 - 1/2."""
    inputs = torch.tensor([[1.0], [0.0], [3.0], [math.log(2)]])
    assert squashed.kl(*inputs).item() == pytest.approx(math.log(2) + 5 / 8 - 0.5)
    assert squashed.reverse_kl(*inputs).item() == pytest.approx(-math.log(2) + 8 / 2 - 0.5)


def test_nll_by_hand():
    """At u = 1 under N(0, 1): 1/2 + ln(2 pi) / 2 + ln(1 - tanh(1)^2)."""
    value = squashed.nll(*torch.tensor([[1.0], [0.0], [0.0], [0.0]]))
    expected = 0.5 + math.log(2 * math.pi) / 2 + math.log(1 - math.tanh(1) ** 2)
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_mse_by_hand_is_between_actions_and_summed():
    p, q, log_std = torch.tensor([1.0, 50.0]), torch.tensor([0.0, -50.0]), torch.zeros(2)
    value = squashed.mse(p, log_std, q, log_std)
    assert value.item() == pytest.approx(math.tanh(1) ** 2 + 4)


def test_entropy_of_a_narrow_policy_by_hand():
    """So narrow that tanh is straight: the entropy before tanh plus the logarithm of its slope."""
    mean, log_std = torch.tensor([0.5], dtype=torch.float64), torch.tensor([-8.0])
    expected = -8 + math.log(2 * math.pi * math.e) / 2 + math.log(1 - math.tanh(0.5) ** 2)
    assert squashed.entropy(mean, log_std).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("function", ["kl", "reverse_kl"])
def test_kl_equals_the_integral_over_actions(function):
    """KL of the squashed densities themselves, integrated over a in (-1, 1), at float64.

    Over a, not u, and with the densities of torch: this would fail if the change of variables
    did not cancel.
    """
    p = (torch.tensor([0.3], dtype=torch.float64), torch.tensor([-0.5], dtype=torch.float64))
    q = (torch.tensor([-0.2], dtype=torch.float64), torch.tensor([-0.1], dtype=torch.float64))
    first, second = (p, q) if function == "kl" else (q, p)
    first, second = torch_squashed(*first), torch_squashed(*second)
    a = torch.linspace(-1, 1, 200_001, dtype=torch.float64)[1:-1, None]
    log_first, log_second = first.log_prob(a), second.log_prob(a)
    integral_over_a = torch.trapezoid(log_first.exp() * (log_first - log_second), a[:, 0])
    value = getattr(squashed, function)(*p, *q)
    torch.testing.assert_close(value, integral_over_a, atol=1e-6, rtol=0)


def test_kl_and_entropies_agree_with_samples_of_torch():
    """Monte Carlo with 200,000 actions: each mean lies within 5 standard errors."""
    p_mean, p_log_std, q_mean, q_log_std = (x / 2 for x in seeded(3))
    p, q = torch_squashed(p_mean, p_log_std), torch_squashed(q_mean, q_log_std)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        actions = p.sample((200_000,))
        log_p, log_q = p.log_prob(actions), q.log_prob(actions)
    for samples, value in (
        (log_p - log_q, squashed.kl(p_mean, p_log_std, q_mean, q_log_std)),
        (-log_q, squashed.cross_entropy(p_mean, p_log_std, q_mean, q_log_std)),
        (-log_p, squashed.entropy(p_mean, p_log_std)),
    ):
        standard_error = samples.std() / len(samples) ** 0.5
        assert abs(samples.mean() - value) < 5 * standard_error


@given(policies, policies)
def test_nll_agrees_with_torch(p, q):
    expected = -torch_squashed(*q).log_prob(p[0].tanh())
    torch.testing.assert_close(squashed.nll(*p, *q), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("mean", [0.0, 0.7, -5.0, 30.0])
@pytest.mark.parametrize("log_std", [-5.0, -1.0, 0.0, 1.0, 2.0])
def test_entropy_is_exact_up_to_log_std_2(mean, log_std):
    inputs = [torch.tensor([x], dtype=torch.float64) for x in (mean, log_std)]
    expected = gaussian.entropy(*inputs).item() + integral(mean, math.exp(log_std), log_slope)
    assert squashed.entropy(*inputs).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mean", [0.0, 20.0])
@pytest.mark.parametrize("log_std", [3.0, 6.0])
def test_entropy_is_near_beyond(mean, log_std):
    """The docstring's bound: 0.3 % of the standard deviation."""
    inputs = [torch.tensor([x], dtype=torch.float64) for x in (mean, log_std)]
    expected = gaussian.entropy(*inputs).item() + integral(mean, math.exp(log_std), log_slope)
    allowed = 0.003 * math.exp(log_std)
    assert squashed.entropy(*inputs).item() == pytest.approx(expected, abs=allowed)


@given(policies)
def test_entropy_is_at_most_that_of_uniform_actions(p):
    assert squashed.entropy(*p) <= 3 * math.log(2) + 1e-9


@given(policies, policies)
def test_kl_is_never_negative_and_zero_to_itself(p, q):
    assert squashed.kl(*p, *q) >= -1e-12
    assert squashed.kl(*p, *p) == 0
    torch.testing.assert_close(squashed.reverse_kl(*p, *q), squashed.kl(*q, *p))


@given(policies, policies)
def test_cross_entropy_is_kl_plus_entropy(p, q):
    expected = squashed.kl(*p, *q) + squashed.entropy(*p)
    torch.testing.assert_close(squashed.cross_entropy(*p, *q), expected, atol=1e-9, rtol=1e-9)


@given(policies, policies)
def test_mse_is_symmetric_and_at_most_4_per_dimension(p, q):
    value = squashed.mse(*p, *q)
    assert value == squashed.mse(*q, *p)
    assert 0 <= value <= 12


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_gradient_is_right(function):
    inputs = [x.requires_grad_() for x in seeded(2, 3)]
    for i in {squashed.nll: (1,), squashed.mse: (1, 3)}.get(function, ()):
        inputs[i].requires_grad_(False)
    assert torch.autograd.gradcheck(function, tuple(inputs))


def test_entropy_gradient_is_right():
    mean, log_std, *_ = (x.requires_grad_() for x in seeded(2, 3))
    assert torch.autograd.gradcheck(squashed.entropy, (mean, log_std))


@settings(max_examples=50)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_extreme_policies_stay_finite_in_float32(p_log_std, q_log_std, p_mean, q_mean):
    """Where tanh rounds to 1 the density is 0 / 0 in the naive form; here it is finite."""
    numbers = [[p_mean / 2], [p_log_std], [q_mean / 2], [q_log_std]]
    for function in PAIRS:
        inputs = torch.tensor(numbers, requires_grad=True)
        value = function(*inputs)
        value.backward()
        assert value.isfinite()
        assert inputs.grad.isfinite().all()
    inputs = torch.tensor(numbers[:2], requires_grad=True)
    squashed.entropy(*inputs).backward()
    assert inputs.grad.isfinite().all()


def test_js_says_that_it_has_no_closed_form():
    with pytest.raises(SettingError, match="no closed form for squashed"):
        squashed.js(*torch.zeros(4, 1))


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_one_log_std_may_serve_all_states(function):
    p_mean, _, q_mean, _ = seeded(5, 3)
    p_log_std, q_log_std, *_ = seeded(3)
    shared = function(p_mean, p_log_std, q_mean, q_log_std)
    repeated = function(p_mean, p_log_std.expand(5, 3), q_mean, q_log_std.expand(5, 3))
    assert shared.shape == (5,)
    torch.testing.assert_close(shared, repeated)


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("position", range(4))
def test_shapes_that_do_not_fit_are_named(function, position):
    inputs = [torch.zeros(2, 3) for _ in range(4)]
    inputs[position] = torch.zeros(2, 4)
    with pytest.raises(ShapeError, match=r"\(2, 4\)"):
        function(*inputs)
    with pytest.raises(ShapeError, match="entropy"):
        squashed.entropy(torch.zeros(2, 3), torch.zeros(2, 4))
