import math
from dataclasses import replace

import pytest
import torch
from fake_policies import HEADS

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import SettingError, ShapeError
from rldistill.maths import categorical, deterministic, gaussian, squashed
from rldistill.methods.catalogue import ROWS
from rldistill.methods.method import Method, Temperature
from rldistill.methods.terms import (
    LOSSES,
    Alignment,
    align,
    mean_action_gap,
    needs_action_gap,
)

ROW = replace(ROWS["dagger"], teacher_temperature=Temperature(q_values=1.0))
PAIRS = [
    pytest.param(loss, head, id=f"{loss}-{name}")
    for loss in LOSSES
    for name, head in HEADS.items()
    if loss != "js" or isinstance(head, CategoricalHead | QValueHead)
]
# Those with their minimum at a student equal to the teacher. nll is least where the student puts
# all on one action, mse says nothing of a deviation.
EQUAL_IS_LEAST = ("kl", "reverse_kl", "js", "cross_entropy")


def row(loss: str, **changes: object) -> Method:
    return replace(ROW, loss=loss, **changes)


def student_head(head):
    return CategoricalHead(3) if isinstance(head, QValueHead) else head


def alignment(loss: str, head, **changes: object) -> Alignment:
    return align(row(loss, **changes), head, student_head(head), None)


def outputs(head, seed: int, count: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, head.num_outputs, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("loss", "head"), PAIRS)
def test_every_loss_of_every_family_is_finite_per_state_and_moves_the_student(loss, head):
    """One number per state; a finite gradient for the student, none for the teacher."""
    teacher, student = outputs(head, 0).requires_grad_(), outputs(head, 1).requires_grad_()
    values = alignment(loss, head)(teacher, student)
    assert values.shape == (50,)
    assert values.isfinite().all()
    values.sum().backward()
    assert teacher.grad is None
    assert student.grad.isfinite().all()
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize(("loss", "head"), [p for p in PAIRS if p.values[0] in EQUAL_IS_LEAST])
def test_divergences_are_least_where_the_student_equals_the_teacher(loss, head):
    """No gradient there, and no small step in any direction goes lower."""
    align_ = alignment(loss, head)
    teacher = outputs(head, 0)
    student = teacher.clone().requires_grad_()
    values = align_(teacher, student)
    (gradient,) = torch.autograd.grad(values.sum(), student)
    assert gradient.abs().max() < 1e-9
    if loss != "cross_entropy":
        assert values.abs().max() < 1e-9
    for seed in range(5):
        moved = align_(teacher, teacher + 0.3 * outputs(head, 10 + seed))
        assert bool((moved >= values).all())


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_mse_is_0_where_the_actions_agree(head):
    teacher = outputs(head, 0)
    assert alignment("mse", head)(teacher, teacher).abs().max() < 1e-12


def test_mse_of_a_q_teacher_is_the_papers_and_of_logits_is_centred():
    """||q - q'||^2 counts the level of Q-values, which logits do not have."""
    teacher, student = torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([[3.0, 4.0, 8.0]])
    assert alignment("mse", QValueHead(3))(teacher, student).item() == 12.0
    assert alignment("mse", CategoricalHead(3))(teacher, student).item() == pytest.approx(0.0)


@pytest.mark.parametrize("loss", ["nll", "kl", "reverse_kl", "js", "cross_entropy"])
def test_temperatures_divide_the_logits_of_their_own_side(loss):
    teacher, student = outputs(CategoricalHead(3), 0), outputs(CategoricalHead(3), 1)
    tempered = alignment(
        loss,
        CategoricalHead(3),
        teacher_temperature=Temperature(logits=0.5, q_values=77.0),
        student_temperature=4.0,
    )
    plain = getattr(categorical, loss)(teacher / 0.5, student / 4.0)
    torch.testing.assert_close(tempered(teacher, student), plain)


def test_a_q_teacher_has_its_own_temperature():
    method = row("kl", teacher_temperature=Temperature())
    align_ = align(method, QValueHead(3), CategoricalHead(3), None)
    assert align_.teacher_temperature == 0.01


def test_a_relative_temperature_does_not_see_the_scale_of_the_rewards():
    """Rewards, and with them Q-values, 1000 times as large give the same loss."""
    method = row("kl", teacher_temperature=Temperature(q_values=0.1, relative=True))
    q, student = outputs(QValueHead(3), 0), outputs(QValueHead(3), 1)
    assert needs_action_gap(method, QValueHead(3))

    def loss(q_values: torch.Tensor) -> torch.Tensor:
        head = QValueHead(3)
        return align(method, head, CategoricalHead(3), mean_action_gap(q_values))(q_values, student)

    torch.testing.assert_close(loss(q), loss(1000 * q + 5))
    expected = categorical.kl(q / (0.1 * mean_action_gap(q)), student)
    torch.testing.assert_close(loss(q), expected)


def test_a_relative_temperature_is_of_no_effect_on_logits():
    method = row("kl", teacher_temperature=Temperature(q_values=0.1, relative=True))
    assert not needs_action_gap(method, CategoricalHead(3))
    assert align(method, CategoricalHead(3), CategoricalHead(3), None).teacher_temperature == 1.0


@pytest.mark.parametrize("gap", [0.0, None])
def test_an_indifferent_teacher_gives_finite_losses(gap):
    method = row("kl", teacher_temperature=Temperature(q_values=0.1, relative=True))
    teacher = torch.ones(4, 3)
    loss = align(method, QValueHead(3), CategoricalHead(3), gap)(teacher, torch.randn(4, 3))
    assert loss.isfinite().all()


@pytest.mark.parametrize("head", [QValueHead(3), CategoricalHead(3)])
def test_mse_is_not_sharpened(head):
    """A temperature of 0.01 would make it ten thousand times as large."""
    sharp = alignment("mse", head, teacher_temperature=Temperature(logits=0.01, q_values=0.01))
    assert sharp.teacher_temperature == 1.0


def test_a_deterministic_policys_deviation_is_a_share_of_half_its_range():
    """0.1 * (3 - -1) / 2 = 0.2; one unit where the range is infinite: 0.1."""
    head = DeterministicHead((-1.0, -math.inf), (3.0, math.inf))
    teacher, student = torch.zeros(1, 2), torch.tensor([[0.2, 0.2]])
    assert alignment("kl", head)(teacher, student).item() == pytest.approx(0.5 + 2.0)


def test_squashed_losses_do_not_see_the_bounds():
    narrow = SquashedGaussianHead((-1.0,), (1.0,))
    wide = SquashedGaussianHead((-9.0,), (9.0,))
    p, q = outputs(narrow, 0), outputs(narrow, 1)
    assert torch.equal(alignment("kl", narrow)(p, q), alignment("kl", wide)(p, q))


@pytest.mark.parametrize(("loss", "head"), PAIRS)
def test_a_loss_is_the_function_of_its_name_in_the_maths_of_its_family(loss, head):
    """A deterministic policy has a fixed deviation; Q-values' mse is not centred."""
    p, q = outputs(head, 0), outputs(head, 1)
    found = alignment(loss, head)(p, q)
    if loss == "reverse_cross_entropy":
        loss, p, q = "cross_entropy", q, p
    if isinstance(head, QValueHead | CategoricalHead):
        squared = isinstance(head, QValueHead) and loss == "mse"
        expected = getattr(categorical, "squared_error" if squared else loss)(p, q)
    elif isinstance(head, DeterministicHead):
        std = () if loss == "mse" else (torch.tensor([0.2, 0.1], dtype=torch.float64),)
        expected = getattr(deterministic, loss)(p, q, *std)
    else:
        maths = gaussian if isinstance(head, GaussianHead) else squashed
        expected = getattr(maths, loss)(*p.chunk(2, -1), *q.chunk(2, -1))
    torch.testing.assert_close(found, expected)


def test_gaussian_kl_is_torchs():
    head = GaussianHead((-1.0, -1.0), (1.0, 1.0))
    p, q = outputs(head, 0), outputs(head, 1)
    normal = [torch.distributions.Normal(x[:, :2], x[:, 2:].exp()) for x in (p, q)]
    expected = torch.distributions.kl_divergence(*normal).sum(-1)
    torch.testing.assert_close(alignment("kl", head)(p, q), expected)


def test_an_unknown_loss_gets_near_names():
    with pytest.raises(SettingError, match=r"unknown loss 'kll'; known: nll.*Did you mean"):
        alignment("kll", CategoricalHead(3))


@pytest.mark.parametrize("name", ["gaussian", "squashed-gaussian", "deterministic"])
def test_js_of_continuous_actions_is_refused_before_the_run(name):
    with pytest.raises(SettingError, match="'js' has no closed form"):
        alignment("js", HEADS[name])


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        (CategoricalHead(3), CategoricalHead(4)),
        (CategoricalHead(4), GaussianHead((0.0, 0.0), (1.0, 1.0))),
        (GaussianHead((0.0,), (1.0,)), SquashedGaussianHead((0.0,), (1.0,))),
        (GaussianHead((0.0,), (1.0,)), GaussianHead((0.0, 0.0), (1.0, 1.0))),
    ],
)
def test_policies_of_other_families_or_sizes_are_refused_before_the_run(teacher, student):
    with pytest.raises(ShapeError, match="no loss is defined between"):
        align(row("kl"), teacher, student, None)


def test_the_mean_action_gap_by_hand():
    """(3 - 2 + 0) / 2."""
    assert mean_action_gap(torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])) == 0.5
