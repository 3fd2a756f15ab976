import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from rldistill.errors import SettingError, ShapeError
from rldistill.maths import deterministic

PAIRS = [
    deterministic.kl,
    deterministic.reverse_kl,
    deterministic.cross_entropy,
    deterministic.nll,
]
LOG_TWO_PI = math.log(2 * math.pi)


def vectors(low, high):
    numbers = st.lists(st.floats(low, high), min_size=3, max_size=3)
    return numbers.map(lambda x: torch.tensor(x, dtype=torch.float64))


actions, stds = vectors(-10, 10), vectors(0.01, 10)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # p = 3, q = 1, std = 2
        (deterministic.kl, 4 / 8),
        (deterministic.reverse_kl, 4 / 8),
        (deterministic.cross_entropy, 4 / 8 + math.log(2) + (LOG_TWO_PI + 1) / 2),
        (deterministic.nll, 4 / 8 + math.log(2) + LOG_TWO_PI / 2),
    ],
)
@pytest.mark.parametrize("std", [2.0, torch.tensor(2.0), torch.tensor([2.0])])
def test_by_hand(function, expected, std):
    value = function(torch.tensor([3.0]), torch.tensor([1.0]), std)
    assert value.item() == pytest.approx(expected)


def test_mse_by_hand_is_a_sum():
    value = deterministic.mse(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 3.0]))
    assert value.item() == 13


def test_entropy_by_hand():
    value = deterministic.entropy(torch.zeros(2), torch.tensor([2.0, 3.0]))
    assert value.item() == pytest.approx(math.log(6) + LOG_TWO_PI + 1)


@given(actions, actions, stds)
def test_agrees_with_torch(p, q, std):
    first, second = (Independent(Normal(x, std), 1) for x in (p, q))
    close = torch.testing.assert_close
    close(deterministic.kl(p, q, std), kl_divergence(first, second), atol=1e-9, rtol=1e-9)
    close(deterministic.entropy(p, std), first.entropy())
    close(deterministic.nll(p, q, std), -second.log_prob(p), atol=1e-9, rtol=1e-9)


@given(actions, actions, stds)
def test_kl_and_cross_entropy_differ_by_a_constant(p, q, std):
    gap = deterministic.cross_entropy(p, q, std) - deterministic.kl(p, q, std)
    torch.testing.assert_close(gap, deterministic.entropy(p, std), atol=1e-7, rtol=1e-9)


@given(actions, actions, st.floats(0.01, 10))
def test_kl_is_symmetric_and_mse_in_units_of_the_spread(p, q, std):
    kl = deterministic.kl(p, q, std)
    assert kl == deterministic.reverse_kl(q, p, std) == deterministic.kl(q, p, std)
    torch.testing.assert_close(kl, deterministic.mse(p, q) / (2 * std**2))


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_gradient_is_right(function):
    p, q, std = (
        torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for seed in range(3)
    )
    inputs = (p.requires_grad_(), q.requires_grad_(), std[0].abs() + 0.1)
    assert torch.autograd.gradcheck(function, inputs)


def test_mse_gradient_is_right():
    p = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    q = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(deterministic.mse, (p, q))


def test_entropy_gradient_is_right():
    std = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    action = torch.zeros(3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(deterministic.entropy, (action, std))


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("log_std", [-20.0, 20.0])
@pytest.mark.parametrize("gap", [0.0, 1e6])
def test_extreme_spreads_stay_finite_in_float32(function, log_std, gap):
    p, q = torch.tensor([gap], requires_grad=True), torch.zeros(1, requires_grad=True)
    value = function(p, q, math.exp(log_std))
    value.backward()
    assert value.isfinite()
    assert p.grad.isfinite().all()
    assert q.grad.isfinite().all()


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_one_state_per_result(function):
    p, q = torch.randn(7, 1, 3), torch.randn(5, 3)
    result = function(p, q, 0.5)
    assert result.shape == (7, 5)
    torch.testing.assert_close(result[6, 4], function(p[6, 0], q[4], 0.5))
    assert deterministic.entropy(p, 0.5).shape == (7, 1)


@pytest.mark.parametrize("function", [*PAIRS, deterministic.entropy], ids=lambda f: f.__name__)
@pytest.mark.parametrize("std", [0.0, -1.0, math.nan, math.inf])
def test_a_std_that_is_none_is_refused(function, std):
    num_actions = 1 if function is deterministic.entropy else 2
    with pytest.raises(SettingError, match=f"std must be a finite number above 0; got {std}"):
        function(*torch.zeros(num_actions, 3), std)


def test_js_says_that_it_has_no_closed_form():
    with pytest.raises(SettingError, match="no closed form for deterministic"):
        deterministic.js(torch.zeros(1), torch.zeros(1), 1.0)


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("p_shape", "q_shape", "std_shape"),
    [((2, 3), (2, 4), (3,)), ((2, 3), (2, 3), (4,)), ((2, 3), (5, 3), ()), ((), (3,), (3,))],
)
def test_shapes_that_do_not_fit_are_named(function, p_shape, q_shape, std_shape):
    with pytest.raises(ShapeError, match="D action dimensions of the same task"):
        function(torch.zeros(p_shape), torch.zeros(q_shape), torch.ones(std_shape))


def test_mse_names_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"^mse: .*\(2, 3\), \(2, 4\)"):
        deterministic.mse(torch.zeros(2, 3), torch.zeros(2, 4))
