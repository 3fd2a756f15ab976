"""The term in plain torch: the same losses as in our own loop, for loops of others."""

import math

import pytest
import torch
from fake_policies import policy
from gymnasium import spaces
from small_runs import follower

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import SettingError, ShapeError, TaskError
from rldistill.integrations.kickstart import KickstartSettings, Pace, add_clipped
from rldistill.integrations.term import DistillationTerm, TermSettings, make_term
from rldistill.maths import categorical, gaussian
from rldistill.methods.method import Temperature
from rldistill.methods.schedules import Linear, Weaning

STATES = torch.tensor([[0.0, 1.0, 3.0, 2.0], [1.0, 0.0, 0.0, 0.0]])


def test_it_is_the_loss_of_the_table_at_the_teacher_s_temperature() -> None:
    """Q-values of a DQN: divided by a tenth of the mean gap of the first states that are seen."""
    teacher = policy(lambda x: x[:, :3], QValueHead(3))
    term = DistillationTerm(teacher, CategoricalHead(3))
    labels = term.label(STATES)
    # Gaps: 3 - 4/3 and 1 - 1/3.
    tau = 0.1 * ((3 - 4 / 3) + (1 - 1 / 3)) / 2
    student = torch.randn(2, 3)
    expected = categorical.cross_entropy(STATES[:, :3] / tau, student)
    assert torch.allclose(term(labels, student), expected)
    term.label(10 * STATES)
    assert torch.allclose(term(labels, student), expected), "the temperature is fixed once"


def test_no_gradient_reaches_the_teacher() -> None:
    layer = torch.nn.Linear(4, 3)
    term = DistillationTerm(policy(layer, CategoricalHead(3)), CategoricalHead(3))
    student = torch.zeros(2, 3, requires_grad=True)
    term(term.label(STATES), student).sum().backward()
    assert student.grad is not None
    assert layer.weight.grad is None


@pytest.mark.parametrize("head", [DeterministicHead, SquashedGaussianHead])
def test_a_teacher_without_a_normal_teaches_a_student_with_one(head: type) -> None:
    """It counts as a normal around its action, a tenth of half the range wide."""
    kind = head((-1.0, 0.0), (1.0, 8.0))
    teacher = policy(lambda x: x[:, : kind.num_outputs], kind)
    term = DistillationTerm(teacher, GaussianHead((-1.0, 0.0), (1.0, 8.0)))
    labels = term.label(STATES)
    mean, log_std = labels.chunk(2, -1)
    assert torch.allclose(mean, kind(STATES[:, : kind.num_outputs]).mode())
    assert torch.allclose(log_std.exp(), torch.tensor([0.1, 0.4]))
    student = torch.randn(2, 4)
    expected = gaussian.cross_entropy(mean, log_std, *student.chunk(2, -1))
    assert torch.allclose(term(labels, student), expected)
    assert term.agreement(labels, student) is None


def test_agreement_is_the_share_of_equal_choices() -> None:
    term = DistillationTerm(policy(lambda x: x[:, :3], QValueHead(3)), QValueHead(3))
    labels = term.label(STATES)
    assert term.agreement(labels, labels) == 1.0
    assert term.agreement(labels, -labels) == 0.0


def test_make_term_checks_that_teacher_and_task_fit() -> None:
    term = make_term(follower(), (2,), spaces.Discrete(2), TermSettings(loss="kl"))
    assert float(term(torch.zeros(1, 2), torch.zeros(1, 2))) == pytest.approx(0.0)
    with pytest.raises(TaskError, match="observations of shape"):
        make_term(follower(), (3,), spaces.Discrete(2))
    with pytest.raises(TaskError, match="actions"):
        make_term(follower(), (2,), spaces.Box(-1, 1, (1,)))


def test_what_is_undefined_is_refused() -> None:
    teacher = policy(lambda x: x[:, :1], DeterministicHead((-math.inf,), (math.inf,)))
    with pytest.raises(SettingError, match="finite action bounds"):
        DistillationTerm(teacher, GaussianHead((-math.inf,), (math.inf,)))
    with pytest.raises(SettingError, match="unknown loss"):
        DistillationTerm(follower(), CategoricalHead(2), TermSettings(loss="cross-entropy"))
    with pytest.raises(ShapeError):
        DistillationTerm(follower(), CategoricalHead(3))
    with pytest.raises(SettingError, match="above 0"):
        TermSettings(teacher_temperature=Temperature(logits=0.0))


def test_a_round_is_a_rollout_or_a_number_of_steps() -> None:
    pace = Pace(Linear(1.0, 0.0, 4), KickstartSettings())
    pace.rollouts, pace.steps = 3, 2 * 4096
    assert pace.weight(False, []) == 0.25
    assert pace.weight(True, []) == 0.5
    pace = Pace(Linear(1.0, 0.0, 4), KickstartSettings(round_steps=4096))
    pace.rollouts, pace.steps = 3, 4095
    assert pace.weight(False, []) == 1.0


def test_a_weaning_weight_follows_the_returns() -> None:
    pace = Pace(Weaning(2.0, 10), KickstartSettings(returns=(0.0, 100.0)))
    assert pace.weight(False, []) == 2.0
    assert pace.weight(False, [20.0, 30.0]) == 1.5
    assert pace.weight(False, [120.0]) == 0.0


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf, Linear(0.0, -1.0, 3)])
def test_weights_that_never_start_are_refused(weight: float | Linear) -> None:
    with pytest.raises(SettingError, match="finite, at least 0 and somewhere above"):
        Pace(weight, KickstartSettings())


def test_settings_without_effect_or_out_of_range_are_refused() -> None:
    with pytest.raises(SettingError, match=r"needs settings\.returns"):
        Pace(Weaning(), KickstartSettings())
    with pytest.raises(SettingError, match="no other weight"):
        Pace(1.0, KickstartSettings(returns=(0.0, 1.0)))
    with pytest.raises(SettingError, match="better teacher"):
        KickstartSettings(returns=(1.0, 0.0))
    with pytest.raises(SettingError, match="batch_size"):
        KickstartSettings(batch_size=0)


def test_an_added_gradient_is_clipped_by_itself() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad = torch.tensor([100.0, 0.0])
    add_clipped(parameters, [torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0]), None], 1.0)
    assert parameters[0].grad.tolist() == pytest.approx([100.6, 0.0])
    assert parameters[1].grad is not None
    assert parameters[1].grad.tolist() == pytest.approx([0.0, 0.8])
    assert parameters[2].grad is None
