"""r_hat of every term, by hand and as it must behave."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import SettingError
from rldistill.maths.returns import Outcomes, return_to_go
from rldistill.methods.credit import Credit
from rldistill.methods.rewards import StepTerms, step_credit


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


# Two steps of one environment, the second of which ends the episode.
TERMS = StepTerms(
    rewards=column(1.0, 10.0),
    terminated=torch.tensor([[False], [True]]),
    log_teacher=column(-0.5, -0.25),
    log_student=column(-2.0, -3.0),
    teacher_values=column(4.0, 6.0, 100.0),
    losses=column(0.3, 0.7, 100.0),
)


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        (Credit(reward=1.0), [1.0, 10.0]),
        (Credit(reward=0.5), [0.5, 5.0]),
        (Credit(log_teacher=2.0), [-1.0, -0.5]),
        (Credit(log_student=1.0), [2.0, 3.0]),
        (Credit(shaping=1.0), [0.5 * 6 - 4, -6.0]),
        (Credit(bootstrap=1.0, one_step=True), [3.0, 0.0]),
        (Credit(next_loss=1.0), [-0.35, 0.0]),
        (Credit(reward=1.0, log_teacher=1.0, log_student=1.0), [2.5, 12.75]),
        (Credit(reward=1.0, shaping=1.0, next_loss=2.0), [1 - 1 - 0.7, 4.0]),
    ],
)
def test_by_hand(credit, expected):
    """gamma 1/2; the state after the end counts nothing, whatever it holds."""
    assert step_credit(credit, TERMS, 0.5).ravel().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("credit", [Credit(shaping=1.0), Credit(next_loss=1.0)])
def test_a_step_that_is_cut_counts_what_it_leads_to(credit):
    """Not terminated: the last observation's value and loss are real."""
    going_on = replace(TERMS, terminated=torch.zeros(2, 1, dtype=torch.bool))
    gap = step_credit(credit, going_on, 0.5) - step_credit(credit, TERMS, 0.5)
    sign = 1.0 if credit.shaping else -1.0
    assert gap.ravel().tolist() == pytest.approx([0.0, sign * 50.0])


@pytest.mark.parametrize("after", [float("nan"), float("inf")])
def test_nothing_leaks_from_after_the_end(after):
    terms = replace(TERMS, teacher_values=column(4.0, 6.0, after), losses=column(0.3, 0.7, after))
    credit = Credit(shaping=1.0, next_loss=1.0)
    assert torch.equal(step_credit(credit, terms, 0.5), step_credit(credit, TERMS, 0.5))


def test_there_is_no_gradient():
    """r_hat is what an action is worth, not what is differentiated."""
    moving = replace(TERMS, log_student=TERMS.log_student.clone().requires_grad_())
    assert not step_credit(Credit(log_student=1.0), moving, 1.0).requires_grad


@pytest.mark.parametrize(
    ("credit", "missing", "message"),
    [
        (Credit(shaping=1.0), "teacher_values", r"teacher's values \[T \+ 1, B\]"),
        (Credit(bootstrap=1.0, one_step=True), "teacher_values", "teacher's values"),
        (Credit(next_loss=1.0), "losses", r"losses \[T \+ 1, B\]"),
    ],
)
def test_a_term_that_was_not_given_is_named(credit, missing, message):
    with pytest.raises(SettingError, match=message):
        step_credit(credit, replace(TERMS, **{missing: None}), 1.0)


numbers = st.lists(st.floats(-10, 10), min_size=5, max_size=5)
weights = st.floats(0.01, 5)


@given(numbers, numbers, numbers, weights, weights, st.floats(0, 1))
def test_terms_add_up(rewards, teacher, values, first, second, gamma):
    """The credit of two terms is the sum of the credits of each, weighed."""
    terms = StepTerms(
        rewards=column(*rewards[:4]),
        terminated=torch.tensor([[False], [False], [True], [False]]),
        log_teacher=column(*teacher[:4]),
        log_student=column(*teacher[:4]),
        teacher_values=column(*values),
    )
    both = step_credit(Credit(log_teacher=first, shaping=second), terms, gamma)
    alone = [Credit(log_teacher=1.0), Credit(shaping=1.0)]
    one, two = (step_credit(credit, terms, gamma) for credit in alone)
    torch.testing.assert_close(both, first * one + second * two)


@given(numbers, numbers, st.floats(0, 1))
def test_shaping_telescopes(rewards, values, gamma):
    """Ng et al. 1999: it moves every return of a whole episode by V(s_t) alone."""
    terminated = torch.tensor([[False], [False], [False], [False], [True]])
    terms = StepTerms(
        rewards=column(*rewards),
        terminated=terminated,
        log_teacher=column(*rewards),
        log_student=column(*rewards),
        teacher_values=column(*values, 123.0),
    )
    ends = (terminated, ~terminated & False, terminated | True)
    zeros = torch.zeros(6, 1, dtype=torch.float64)

    def totals(credit: Credit) -> torch.Tensor:
        return return_to_go(Outcomes(step_credit(credit, terms, gamma), *ends), zeros, gamma)

    gap = totals(Credit(reward=1.0, shaping=1.0)) - totals(Credit(reward=1.0))
    torch.testing.assert_close(gap, -column(*values), rtol=0, atol=1e-9)
