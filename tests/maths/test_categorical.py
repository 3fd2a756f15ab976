import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import ShapeError
from rldistill.maths import categorical

logits = st.lists(st.floats(-30, 30), min_size=4, max_size=4).map(
    lambda x: torch.tensor(x, dtype=torch.float64)
)


def test_kl_by_hand():
    """p = (1/4, 3/4), q = (1/2, 1/2): KL = 1/4 ln 1/2 + 3/4 ln 3/2."""
    p, q = torch.tensor([0.25, 0.75]).log(), torch.tensor([0.5, 0.5]).log()
    expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert categorical.kl(p, q).item() == pytest.approx(expected, abs=1e-6)


@given(logits, logits)
def test_kl_is_never_negative(p, q):
    assert categorical.kl(p, q) >= -1e-12


@given(logits, st.floats(-50, 50))
def test_kl_to_itself_is_zero_whatever_the_offset(p, offset):
    torch.testing.assert_close(
        categorical.kl(p, p + offset), torch.tensor(0.0, dtype=torch.float64), atol=1e-9, rtol=0
    )


@given(logits, logits)
def test_kl_agrees_with_torch(p, q):
    D = torch.distributions.Categorical  # noqa: N806
    torch.testing.assert_close(
        categorical.kl(p, q), torch.distributions.kl_divergence(D(logits=p), D(logits=q))
    )


def test_kl_gradient_is_right():
    p, q = (torch.randn(3, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(categorical.kl, (p, q))


def test_a_masked_action_gives_no_nan():
    p = torch.tensor([1.0, 2.0, -torch.inf], requires_grad=True)
    q = torch.tensor([0.0, 1.0, -torch.inf], requires_grad=True)
    loss = categorical.kl(p, q)
    loss.backward()
    assert loss.isfinite() and p.grad.isfinite().all() and q.grad.isfinite().all()  # noqa: PT018


def test_kl_is_infinite_where_q_forbids_what_p_does():
    assert (
        categorical.kl(torch.tensor([0.0, 0.0]), torch.tensor([0.0, -torch.inf])).item() == math.inf
    )


def test_an_action_that_rounds_to_never_is_no_nan_beside_a_mask():
    """p(a) = exp(-200) is 0 in float32: 0 log(0 / 0) = 0, in the value and in both gradients."""
    p = torch.tensor([0.0, -200.0], requires_grad=True)
    q = torch.tensor([0.0, -torch.inf], requires_grad=True)
    loss = categorical.kl(p, q)
    loss.backward()
    assert loss.item() == 0.0
    assert p.grad is not None and p.grad.tolist() == [0.0, 0.0]  # noqa: PT018
    assert q.grad is not None and q.grad.tolist() == [0.0, 0.0]  # noqa: PT018


def test_an_infinite_kl_leaves_finite_gradients():
    """One forbidden state shows in the loss and does not ruin the weights."""
    p = torch.zeros(2, requires_grad=True)
    q = torch.tensor([0.0, -torch.inf], requires_grad=True)
    categorical.kl(p, q).backward()
    assert p.grad is not None and p.grad.isfinite().all()  # noqa: PT018
    assert q.grad is not None and q.grad.isfinite().all()  # noqa: PT018


def test_different_action_counts_are_named():
    with pytest.raises(ShapeError, match="p has 4 actions and q has 6"):
        categorical.kl(torch.zeros(2, 4), torch.zeros(2, 6))


# --- the other divergences ------------------------------------------------------------------------

PAIRS = [
    categorical.kl,
    categorical.reverse_kl,
    categorical.js,
    categorical.cross_entropy,
    categorical.nll,
    categorical.mse,
]
LN2 = math.log(2)
log_of_p = torch.tensor([0.25, 0.75], dtype=torch.float64).log()
log_of_q = torch.tensor([0.5, 0.5], dtype=torch.float64).log()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # p = (1/4, 3/4), q = (1/2, 1/2)
        (categorical.reverse_kl, 0.5 * math.log(2) + 0.5 * math.log(2 / 3)),
        # m = (3/8, 5/8)
        (
            categorical.js,
            (0.25 * math.log(2 / 3) + 0.75 * math.log(6 / 5)) / 2
            + (0.5 * math.log(4 / 3) + 0.5 * math.log(4 / 5)) / 2,
        ),
        (categorical.cross_entropy, LN2),
        (categorical.nll, LN2),
        # centred: (-ln 3 / 2, ln 3 / 2) and (0, 0)
        (categorical.mse, math.log(3) ** 2 / 2),
    ],
)
def test_by_hand(function, expected):
    assert function(log_of_p, log_of_q).item() == pytest.approx(expected, abs=1e-12)


def test_entropy_by_hand():
    """H(1/4, 3/4) = 1/4 ln 4 + 3/4 ln 4/3."""
    expected = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    assert categorical.entropy(log_of_p).item() == pytest.approx(expected, abs=1e-12)


def test_nll_takes_the_action_of_p_and_the_probability_of_q():
    assert categorical.nll(log_of_q.flip(0) + log_of_p, log_of_p).item() == pytest.approx(
        -math.log(0.75)
    )
    assert categorical.nll(log_of_p.flip(0), log_of_p).item() == pytest.approx(-math.log(0.25))


def test_nll_gives_a_tie_to_the_lowest_index():
    assert categorical.nll(torch.zeros(2), log_of_p).item() == pytest.approx(-math.log(0.25))


@given(logits, logits)
def test_reverse_kl_is_kl_with_the_policies_exchanged(p, q):
    torch.testing.assert_close(categorical.reverse_kl(p, q), categorical.kl(q, p))


@given(logits, logits)
def test_js_is_symmetric_and_at_most_ln_2(p, q):
    js = categorical.js(p, q)
    torch.testing.assert_close(js, categorical.js(q, p))
    assert -1e-12 <= js <= LN2 + 1e-12


@given(logits, logits)
def test_js_agrees_with_torch(p, q):
    middle = torch.distributions.Categorical(probs=(p.softmax(-1) + q.softmax(-1)) / 2)
    ours = [torch.distributions.Categorical(logits=x) for x in (p, q)]
    expected = sum(torch.distributions.kl_divergence(x, middle) for x in ours) / 2
    torch.testing.assert_close(categorical.js(p, q), expected, atol=1e-9, rtol=1e-6)


@given(logits, logits)
def test_cross_entropy_is_kl_plus_entropy(p, q):
    expected = categorical.kl(p, q) + categorical.entropy(p)
    torch.testing.assert_close(categorical.cross_entropy(p, q), expected)


@given(logits)
def test_entropy_agrees_with_torch_and_is_at_most_ln_a(p):
    entropy = categorical.entropy(p)
    torch.testing.assert_close(entropy, torch.distributions.Categorical(logits=p).entropy())
    assert 0 <= entropy <= math.log(4) + 1e-12


@given(logits, logits)
def test_nll_agrees_with_torch(p, q):
    expected = -torch.distributions.Categorical(logits=q).log_prob(p.argmax(-1))
    torch.testing.assert_close(categorical.nll(p, q), expected)


@given(logits, logits, st.floats(-50, 50))
def test_mse_does_not_see_a_common_offset(p, q, offset):
    moved = categorical.mse(p, q + offset)
    torch.testing.assert_close(moved, categorical.mse(p, q), atol=1e-9, rtol=1e-9)
    assert categorical.mse(p, p + offset) < 1e-20


@given(logits, logits)
def test_mse_is_the_plain_distance_of_logits_made_to_sum_to_zero(p, q):
    p, q = p - p.mean(), q - q.mean()
    expected = (p - q).square().sum()
    torch.testing.assert_close(categorical.mse(p, q), expected, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_gradient_is_right(function):
    p = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    q = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # nll has no gradient in p: it sees only which logit is largest.
    p.requires_grad_(function is not categorical.nll)
    assert torch.autograd.gradcheck(function, (p, q.requires_grad_()))


def test_entropy_gradient_is_right():
    p = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(categorical.entropy, (p.requires_grad_(),))


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_shapes_are_per_state_and_broadcast(function):
    p, q = torch.randn(7, 1, 3), torch.randn(5, 3)
    result = function(p, q)
    assert result.shape == (7, 5)
    torch.testing.assert_close(result[6, 4], function(p[6, 0], q[4]))


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("p_shape", "q_shape", "message"),
    [
        ((2, 4), (2, 6), "p has 4 actions and q has 6"),
        ((2, 4), (3, 4), r"p has shape \(2, 4\) and q has \(3, 4\)"),
        ((), (4,), "must have an action axis"),
    ],
)
def test_shapes_that_do_not_fit_are_named(function, p_shape, q_shape, message):
    with pytest.raises(ShapeError, match=f"^{function.__name__}: .*{message}"):
        function(torch.zeros(p_shape), torch.zeros(q_shape))


def test_entropy_needs_an_action_axis():
    with pytest.raises(ShapeError, match="entropy: logits must have an action axis"):
        categorical.entropy(torch.tensor(0.0))


# --- squared error of Q-values -----------------------------------------------------------


@pytest.mark.parametrize(("p", "q", "expected"), [
    ([1.0, 3.0], [1.0, 1.0], 4.0), ([1.0, -math.inf], [2.0, 7.0], 1.0),
    ([1.0, 2.0], [1.0, -math.inf], math.inf), ([-math.inf] * 2, [0.0, 0.0], 0.0),
])  # fmt: skip
def test_squared_error_by_hand(p, q, expected):
    """A masked action of the teacher has no target."""
    q_values = torch.tensor(q, requires_grad=True)
    value = categorical.squared_error(torch.tensor(p), q_values)
    assert value.item() == expected
    value.backward()
    assert q_values.grad.isfinite().all()


@given(st.lists(st.floats(-30, 30), min_size=3, max_size=3), st.floats(-50, 50))
def test_squared_error_is_torchs(values, shift):
    p = torch.tensor(values, dtype=torch.float64)
    q = p.flip(0) + shift
    expected = torch.nn.functional.mse_loss(q, p, reduction="sum")
    torch.testing.assert_close(categorical.squared_error(p, q), expected)


def test_squared_error_gradient_is_right():
    p, q = (torch.randn(3, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(categorical.squared_error, (p, q))
    with pytest.raises(ShapeError, match="p has 2 actions and q has 3"):
        categorical.squared_error(torch.zeros(2), torch.zeros(3))


@pytest.mark.parametrize("function", [categorical.mse, categorical.squared_error])
def test_nan_is_not_taken_for_a_mask(function):
    """A teacher's NaN must show in the loss."""
    assert function(torch.tensor([1.0, math.nan]), torch.zeros(2)).isnan()
