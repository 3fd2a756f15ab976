"""Log-probabilities, floors and refusals of an Alignment: what rows with credit ask of it."""

import math
from dataclasses import replace

import pytest
import torch
from fake_policies import HEADS

from rldistill.core import CategoricalHead, DeterministicHead, GaussianHead, QValueHead
from rldistill.errors import SettingError
from rldistill.maths import categorical
from rldistill.methods.catalogue import ROWS
from rldistill.methods.credit import Credit
from rldistill.methods.method import Method, Temperature
from rldistill.methods.terms import FLOOR, Alignment, align, num_floored


def row(loss: str, **changes: object) -> Method:
    temperature = {"teacher_temperature": Temperature(q_values=1.0)}
    return replace(ROWS["dagger"], loss=loss, **(temperature | changes))


def student_head(head):
    return CategoricalHead(3) if isinstance(head, QValueHead) else head


def alignment(loss: str, head, **changes: object) -> Alignment:
    return align(row(loss, **changes), head, student_head(head), None)


def outputs(head, seed: int, count: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, head.num_outputs, generator=generator, dtype=torch.float64)


def test_the_log_probability_of_a_teacher_is_sharpened_and_floored():
    """A masked action counts as FLOOR; no gradient reaches the teacher."""
    sharp = alignment("kl", CategoricalHead(3), teacher_temperature=Temperature(logits=0.5))
    raw = torch.tensor([[0.0, 1.0, -torch.inf]] * 3, requires_grad=True)
    found = sharp.teacher_log_prob(raw, torch.arange(3))
    both = torch.tensor([0.0, 2.0]).log_softmax(-1)
    assert found.tolist() == pytest.approx([*both.tolist(), math.log(FLOOR)])
    assert not found.requires_grad


def test_the_floor_of_a_density_is_per_action_dimension():
    head = GaussianHead((-1.0, -1.0), (1.0, 1.0))
    raw = torch.tensor([[0.0, 0.0, -5.0, -5.0]])
    far = alignment("kl", head).teacher_log_prob(raw, torch.tensor([[9.0, 9.0]]))
    assert far.item() == pytest.approx(2 * math.log(FLOOR))
    near = alignment("kl", head).teacher_log_prob(raw, torch.zeros(1, 2))
    assert near.item() == pytest.approx(2 * (5 - 0.5 * math.log(2 * math.pi)))


@pytest.mark.parametrize(
    "head", [h for h in HEADS.values() if not isinstance(h, DeterministicHead)]
)
def test_log_probabilities_and_entropy_are_those_of_the_policy_that_acts(head):
    """The student's, at temperature 1, differentiable."""
    raw = outputs(head, 0).requires_grad_()
    policy, align_ = student_head(head)(raw), alignment("kl", head)
    actions = policy.mode().detach()
    found = align_.student_log_prob(raw, actions)
    torch.testing.assert_close(found, policy.log_prob(actions))
    torch.testing.assert_close(align_.student_entropy(raw), policy.entropy())
    found.sum().backward()
    assert raw.grad.abs().sum() > 0


def test_a_deterministic_policy_has_no_probabilities():
    """Each question says so, and a row that will ask is refused before the run."""
    head = HEADS["deterministic"]
    align_, raw = alignment("kl", head), outputs(head, 0)
    for ask in (align_.teacher_log_prob, align_.student_log_prob):
        with pytest.raises(SettingError, match=r"a deterministic policy .* has none"):
            ask(raw, raw)
    with pytest.raises(SettingError, match="a deterministic policy"):
        align_.student_entropy(raw)
    for name in ("baseline", "value-gated", "kickstarting"):
        with pytest.raises(SettingError, match=rf"{name}: a row with credit.*on-policy-distill"):
            align(ROWS[name], head, head, None)


@pytest.mark.parametrize("loss", ["reverse_cross_entropy", "reverse_kl"])
def test_an_action_that_the_teacher_never_takes_costs_a_bounded_amount(loss):
    """log FLOOR, with a gradient that leads away from it; without the floor, inf and no way out."""
    teacher = torch.tensor([[0.0, -torch.inf]], dtype=torch.float64)
    student = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    value = alignment(loss, CategoricalHead(2))(teacher, student)
    entropy = math.log(2) if loss == "reverse_kl" else 0.0
    assert value.item() == pytest.approx(-0.5 * math.log(FLOOR) - entropy, abs=1e-6)
    value.sum().backward()
    assert student.grad[0, 1] > 1.0


def test_js_beta_is_the_rows():
    p, q = outputs(CategoricalHead(3), 0), outputs(CategoricalHead(3), 1)
    found = alignment("js", CategoricalHead(3), js_beta=0.2)(p, q)
    torch.testing.assert_close(found, categorical.js(p, q, 0.2))


def test_a_row_without_a_loss_has_none():
    align_ = align(ROWS["baseline"], CategoricalHead(3), CategoricalHead(3), None)
    with pytest.raises(SettingError, match="no alignment loss"):
        align_(outputs(CategoricalHead(3), 0), outputs(CategoricalHead(3), 1))


@pytest.mark.parametrize(("name", "kind"), [("rsl-rl", "continuous")])
def test_a_row_for_other_actions_is_refused(name, kind):
    with pytest.raises(
        SettingError, match=rf"{name} is defined for {kind} actions; this teacher's"
    ):
        align(ROWS[name], CategoricalHead(3), CategoricalHead(3), None)
    only = replace(ROWS["dagger"], actions="discrete")
    with pytest.raises(SettingError, match="defined for discrete actions"):
        align(only, HEADS["gaussian"], HEADS["gaussian"], None)


def test_floored_probabilities_are_counted_where_their_logarithm_is_used():
    """One of six is masked, one is below FLOOR at this temperature; continuous ones have none."""
    raw = torch.tensor([[0.0, 1.0, -torch.inf], [0.0, 1.0, -10.0]])
    sharp = Temperature(logits=0.5)
    credited = replace(ROWS["entropy-regularised"], teacher_temperature=sharp)
    align_ = align(credited, CategoricalHead(3), CategoricalHead(3), None)
    assert num_floored(credited, align_, raw) == 2
    assert num_floored(row("reverse_kl", teacher_temperature=sharp), align_, raw) == 2
    assert num_floored(row("kl", teacher_temperature=sharp), align_, raw) == 0
    rewarded = replace(credited, credit=Credit(reward=1.0), teacher_temperature=Temperature())
    assert num_floored(rewarded, align_, raw) == 0
    head = HEADS["gaussian"]
    assert num_floored(credited, alignment("kl", head), outputs(head, 0)) == 0
