"""Edges of maths/categorical.py: masks, zero probabilities, temperature 0, one action."""

import math

import pytest
import torch

from rldistill.maths import categorical

PAIRS = [
    categorical.kl,
    categorical.reverse_kl,
    categorical.js,
    categorical.cross_entropy,
    categorical.nll,
    categorical.mse,
]
LN2 = math.log(2)


def gradients_are_finite(function, *inputs):
    """True where the gradient of the finite part of the sum has no NaN and no infinity."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    torch.atleast_1d(function(*inputs)).sum().backward()
    return all(x.grad.isfinite().all() for x in inputs)


masked = torch.tensor([1.0, 2.0, -torch.inf])


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_an_action_masked_by_both_is_as_if_it_did_not_exist(function):
    other = torch.tensor([0.5, -1.0, -torch.inf])
    torch.testing.assert_close(function(masked, other), function(masked[:2], other[:2]))
    if function is not categorical.nll:
        assert gradients_are_finite(function, masked, other)


def test_entropy_ignores_a_masked_action():
    torch.testing.assert_close(categorical.entropy(masked), categorical.entropy(masked[:2]))
    assert gradients_are_finite(categorical.entropy, masked)


@pytest.mark.parametrize(
    "function", [categorical.kl, categorical.js, categorical.cross_entropy, categorical.mse]
)
def test_p_may_mask_what_q_does_not(function):
    """p(a) = 0 < q(a) is finite in the forward divergences and in mse, with gradients."""
    q = torch.tensor([0.5, -1.0, 3.0])
    assert function(masked, q).isfinite()
    assert gradients_are_finite(function, masked, q)


def test_mse_centres_over_the_actions_that_p_allows():
    """The student's logit for an action the teacher masks changes nothing and gets no gradient."""
    q = torch.tensor([0.5, -1.0, 3.0], requires_grad=True)
    loss = categorical.mse(masked, q)
    # Gaps (0.5, 3.0) over two actions, around their mean 1.75.
    assert loss.item() == pytest.approx(2 * 1.25**2)
    loss.backward()
    assert q.grad[2] == 0
    assert q.grad[:2].sum().item() == pytest.approx(0)


@pytest.mark.parametrize(
    "function", [categorical.reverse_kl, categorical.js, categorical.nll, categorical.mse]
)
def test_q_may_mask_what_p_never_takes(function):
    p = torch.tensor([0.5, 200.0, -torch.inf])
    assert function(p, masked).isfinite()


@pytest.mark.parametrize(
    ("function", "p", "q"),
    [
        (categorical.reverse_kl, masked, torch.zeros(3)),
        (categorical.cross_entropy, torch.zeros(3), masked),
        (categorical.mse, torch.zeros(3), masked),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_a_mask_on_an_action_that_is_taken_gives_inf_without_nan_gradients(function, p, q):
    """The state shows in the loss as inf and adds nothing to the gradient of the others."""
    p, q = torch.stack([p, torch.tensor([3.0, 0.0, 1.0])]), torch.stack([q, torch.zeros(3)])
    p.requires_grad_()
    q.requires_grad_()
    loss = function(p, q)
    assert loss[0] == math.inf
    assert loss[1].isfinite()
    loss.sum().backward()
    assert p.grad[0].eq(0).all()
    assert q.grad[0].eq(0).all()
    assert p.grad[1].isfinite().all()
    assert q.grad[1].abs().sum() > 0


def test_nll_is_infinite_where_q_never_takes_the_action_of_p():
    q = masked.clone().requires_grad_()
    loss = categorical.nll(torch.tensor([0.0, 0.0, 1.0]), q)
    loss.backward()
    assert loss.item() == math.inf
    assert q.grad.isfinite().all()


def test_js_of_policies_that_share_no_action_is_ln_2():
    p, q = torch.tensor([0.0, -torch.inf]), torch.tensor([-torch.inf, 0.0])
    assert categorical.js(p, q).item() == pytest.approx(LN2)
    assert gradients_are_finite(categorical.js, p, q)


SHARP = torch.tensor([0.3, 0.1, 0.2]) / 1e-6


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_temperature_to_zero_is_finite(function):
    """Teacher logits / 1e-6: two probabilities underflow to 0 in float32."""
    q = torch.tensor([0.5, -1.0, 3.0])
    value = function(SHARP, q)
    assert value.isfinite()
    assert gradients_are_finite(lambda q: function(SHARP, q), q)
    if function in (categorical.kl, categorical.cross_entropy):
        torch.testing.assert_close(value, categorical.nll(SHARP, q))


def test_entropy_at_temperature_zero_is_zero():
    assert categorical.entropy(SHARP) == 0
    assert gradients_are_finite(categorical.entropy, SHARP)


@pytest.mark.parametrize("function", [categorical.js, categorical.cross_entropy])
def test_a_probability_that_underflows_meets_a_mask_without_nan(function):
    """0 times inf: the teacher's logit is finite, its probability 0, and the student masks it."""
    q = torch.tensor([1.0, 2.0, -torch.inf])
    assert function(SHARP, q).isfinite()
    assert gradients_are_finite(lambda q: function(SHARP, q), q)
    assert categorical.reverse_kl(q, SHARP).isfinite()


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_one_action_leaves_nothing_to_differ(function):
    p, q = torch.tensor([[3.0]]), torch.tensor([[-7.0]])
    assert function(p, q).tolist() == [0.0]
    assert gradients_are_finite(lambda q: function(p, q), q)


def test_one_action_has_no_entropy():
    assert categorical.entropy(torch.tensor([[3.0]])).tolist() == [0.0]
