import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from rldistill.errors import SettingError, ShapeError
from rldistill.maths import gaussian

PAIRS = [
    gaussian.kl,
    gaussian.reverse_kl,
    gaussian.cross_entropy,
    gaussian.nll,
    gaussian.mse,
]
LOG_TWO_PI = math.log(2 * math.pi)


def vectors(low, high):
    numbers = st.lists(st.floats(low, high), min_size=3, max_size=3)
    return numbers.map(lambda x: torch.tensor(x, dtype=torch.float64))


means, log_stds = vectors(-10, 10), vectors(-3, 2)
policies = st.tuples(means, log_stds)


def torch_normal(mean, log_std):
    return Independent(Normal(mean, log_std.exp()), 1)


def seeded(*shape):
    return [
        torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for seed in range(4)
    ]


def test_squash_reaches_the_bounds_and_their_middle():
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 10.0])
    u = torch.tensor([[-50.0, -50.0], [0.0, 0.0], [50.0, 50.0]])
    assert gaussian.squash(u, low, high).tolist() == [[-1, 0], [0, 5], [1, 10]]


@given(means, means)
def test_squash_stays_inside_the_bounds_and_keeps_the_order(u, v):
    low, high = torch.tensor(-2.0), torch.tensor(3.0)
    a, b = gaussian.squash(u, low, high), gaussian.squash(v, low, high)
    assert ((a >= low) & (a <= high)).all()
    assert (((u - v) * (a - b)) >= 0).all()


def test_squash_gradient_is_right():
    u, low, gap, _ = seeded(2, 3)
    inputs = (u.requires_grad_(), low, low + gap.abs())
    assert torch.autograd.gradcheck(gaussian.squash, inputs)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # p = N(1, 1), q = N(3, 2^2)
        (gaussian.kl, math.log(2) + (1 + 4) / 8 - 0.5),
        (gaussian.reverse_kl, -math.log(2) + (4 + 4) / 2 - 0.5),
        (gaussian.cross_entropy, math.log(2) + LOG_TWO_PI / 2 + (1 + 4) / 8),
        (gaussian.nll, math.log(2) + LOG_TWO_PI / 2 + 4 / 8),
        (gaussian.mse, 4.0),
    ],
)
def test_by_hand_and_summed_over_dimensions(function, expected):
    p_mean, p_log_std, q_mean, q_log_std = torch.tensor([[1.0], [0.0], [3.0], [math.log(2)]])
    value = function(p_mean, p_log_std, q_mean, q_log_std)
    assert value.item() == pytest.approx(expected, rel=1e-6)
    thrice = function(*(x.expand(3) for x in (p_mean, p_log_std, q_mean, q_log_std)))
    assert thrice.item() == pytest.approx(3 * expected, rel=1e-6)


def test_entropy_by_hand():
    """N(5, 2^2) has entropy ln 2 + ln(2 pi e) / 2, wherever its mean is."""
    value = gaussian.entropy(torch.tensor([5.0]), torch.tensor([math.log(2)]))
    assert value.item() == pytest.approx(math.log(2) + (LOG_TWO_PI + 1) / 2)


@given(policies, policies)
def test_agrees_with_torch(p, q):
    ours, theirs = (p, q), (torch_normal(*p), torch_normal(*q))
    close = torch.testing.assert_close
    close(gaussian.kl(*p, *q), kl_divergence(*theirs), atol=1e-9, rtol=1e-9)
    close(gaussian.reverse_kl(*p, *q), kl_divergence(*theirs[::-1]), atol=1e-9, rtol=1e-9)
    close(gaussian.entropy(*p), theirs[0].entropy())
    close(gaussian.nll(*p, *q), -theirs[1].log_prob(ours[0][0]))


@given(policies, policies)
def test_kl_is_never_negative_and_zero_to_itself(p, q):
    assert gaussian.kl(*p, *q) >= -1e-12
    assert gaussian.kl(*p, *p) == 0


@given(policies, policies)
def test_cross_entropy_is_kl_plus_entropy(p, q):
    expected = gaussian.kl(*p, *q) + gaussian.entropy(*p)
    torch.testing.assert_close(gaussian.cross_entropy(*p, *q), expected, atol=1e-9, rtol=1e-9)


@given(policies, policies, st.floats(0.1, 10))
def test_a_change_of_unit_leaves_kl_alone(p, q, unit):
    """Actions in another unit: means times `unit`, log_std plus its logarithm."""
    scaled = [x for mean, log_std in (p, q) for x in (mean * unit, log_std + math.log(unit))]
    torch.testing.assert_close(gaussian.kl(*scaled), gaussian.kl(*p, *q), atol=1e-8, rtol=1e-8)


@given(policies, policies)
def test_mse_is_symmetric_and_blind_to_the_spread(p, q):
    value = gaussian.mse(*p, *q)
    assert value == gaussian.mse(q[0], p[1] + 1, p[0], q[1] - 1)
    assert value >= 0


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_gradient_is_right(function):
    inputs = [x.requires_grad_() for x in seeded(2, 3)]
    unused = {gaussian.nll: (1,), gaussian.mse: (1, 3)}.get(function, ())
    for i in unused:
        inputs[i].requires_grad_(False)
    assert torch.autograd.gradcheck(function, tuple(inputs))


def test_entropy_gradient_is_right():
    mean, log_std, *_ = seeded(2, 3)
    assert torch.autograd.gradcheck(gaussian.entropy, (mean, log_std.requires_grad_()))


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("p_log_std", [-20.0, 0.0, 20.0])
@pytest.mark.parametrize("q_log_std", [-20.0, 0.0, 20.0])
@pytest.mark.parametrize("gap", [0.0, 1e6])
def test_extreme_spreads_stay_finite_in_float32(function, p_log_std, q_log_std, gap):
    """The limits that the module states: |log_std| <= 20 and means 1e6 apart."""
    inputs = torch.tensor([[gap], [p_log_std], [0.0], [q_log_std]], requires_grad=True)
    value = function(*inputs)
    value.backward()
    assert value.isfinite()
    assert inputs.grad.isfinite().all()


def test_kl_keeps_its_digits_when_the_spreads_nearly_agree():
    """For log_std d apart, KL = d^2 + O(d^3): 1 - 1 + d^2 must not round to nothing."""
    zero, near = torch.zeros(1, dtype=torch.float64), torch.full((1,), 1e-7, dtype=torch.float64)
    assert gaussian.kl(zero, near, zero, zero).item() == pytest.approx(1e-14, rel=1e-3, abs=0)


def test_js_says_that_it_has_no_closed_form():
    with pytest.raises(SettingError, match="no closed form for Gaussian"):
        gaussian.js(*torch.zeros(4, 1))


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_one_log_std_may_serve_all_states(function):
    p_mean, _, q_mean, _ = seeded(5, 3)
    p_log_std, q_log_std, *_ = seeded(3)
    shared = function(p_mean, p_log_std, q_mean, q_log_std)
    repeated = function(p_mean, p_log_std.expand(5, 3), q_mean, q_log_std.expand(5, 3))
    assert shared.shape == (5,)
    assert torch.equal(shared, repeated)


def test_entropy_is_per_state_even_when_the_log_std_is_not():
    assert gaussian.entropy(torch.zeros(5, 3), torch.zeros(3)).shape == (5,)


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", [(2, 4), (5, 3), (2, 1), ()])
@pytest.mark.parametrize("position", range(4))
def test_shapes_that_do_not_fit_are_named(function, shape, position):
    """A last axis of 1 is another action size, never broadcast."""
    inputs = [torch.zeros(2, 3) for _ in range(4)]
    inputs[position] = torch.zeros(shape)
    with pytest.raises(ShapeError, match="D action dimensions of the same task") as error:
        function(*inputs)
    assert str(error.value).startswith(f"{function.__name__}: ")
    assert str(shape) in str(error.value)


def test_entropy_names_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"^entropy: .*\(2, 3\), \(4,\)"):
        gaussian.entropy(torch.zeros(2, 3), torch.zeros(4))
