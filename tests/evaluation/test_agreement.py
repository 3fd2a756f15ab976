import json
import math

import pytest
import torch
from fake_policies import HEADS, always, num_asked, policy
from torch import nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import ShapeError
from rldistill.evaluation import agreement as module
from rldistill.evaluation.agreement import Agreement, AgreementPair, agreement
from rldistill.maths import categorical, gaussian

STATES = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
BOX = ((-1.0, -1.0), (1.0, 3.0))


def linear(head, seed: int = 0):
    torch.manual_seed(seed)
    return policy(nn.Linear(4, head.num_outputs), head)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_policy_agrees_with_itself(head):
    """Also a Q-network, whose values are sharpened on both sides."""
    same = linear(head)
    found = agreement(same, same, STATES)
    assert found.top_action == 1.0
    assert found.kl == pytest.approx(0.0, abs=1e-6)
    assert found.states == 400


def test_top_action_is_the_share_of_states_with_the_same_action():
    """The student differs where the first number seen is above 1."""
    teacher = policy(lambda x: torch.stack([x[:, 1], -x[:, 1]], -1), CategoricalHead(2))
    student = policy(
        lambda x: torch.where(x[:, :1] > 1, -1.0, 1.0) * torch.stack([x[:, 1], -x[:, 1]], -1),
        CategoricalHead(2),
    )
    expected = float((STATES[:, 0] <= 1).double().mean())
    assert agreement(teacher, student, STATES).top_action == expected


def test_kl_is_that_of_teacher_and_student_in_this_order():
    teacher, student = linear(CategoricalHead(3), 0), linear(CategoricalHead(3), 1)
    expected = categorical.kl(teacher.raw(STATES), student.raw(STATES)).mean().item()
    assert agreement(teacher, student, STATES).kl == pytest.approx(expected, rel=1e-5)
    assert agreement(student, teacher, STATES).kl != pytest.approx(expected, rel=1e-3)


def test_the_scale_of_q_values_does_not_matter():
    """A tenth of the mean action gap divides them."""
    student = linear(CategoricalHead(3), 1)
    torch.manual_seed(0)
    layer = nn.Linear(4, 3)
    found = [
        agreement(policy(lambda x, s=s: s * layer(x), QValueHead(3)), student, STATES).kl
        for s in (1.0, 1000.0)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_an_indifferent_q_network_has_a_finite_kl():
    found = agreement(always([2.0, 2.0], QValueHead(2)), linear(CategoricalHead(2)), STATES)
    assert math.isfinite(found.kl)


def test_actions_agree_within_a_twentieth_of_their_range():
    """Ranges 2 and 4: 0.1 and 0.2, per component; the rest counts as different."""
    head = DeterministicHead(*BOX)
    teacher = always([0.0, 0.0], head)
    for action, expected in (([0.09, 0.19], 1.0), ([0.11, 0.19], 0.5), ([0.11, 0.21], 0.0)):
        assert agreement(teacher, always(action, head), STATES).top_action == expected


def test_actions_are_compared_as_the_environment_takes_them():
    """Both far above the bound: the same action."""
    head = GaussianHead(*BOX)
    teacher, student = always([5.0, 9.0, 0.0, 0.0], head), always([50.0, 90.0, 0.0, 0.0], head)
    assert agreement(teacher, student, STATES).top_action == 1.0


def test_an_unbounded_action_is_compared_in_its_own_units():
    head = DeterministicHead((-math.inf,), (math.inf,))
    teacher = always([0.0], head)
    found = [agreement(teacher, always([x], head), STATES).top_action for x in (0.04, 0.06)]
    assert found == [1.0, 0.0]


def test_continuous_kl_by_hand():
    """Means one standard deviation apart: 1/2 nat."""
    head = GaussianHead((-9.0,), (9.0,))
    assert agreement(always([1.0, 0.0], head), always([0.0, 0.0], head), STATES).kl == 0.5
    squashed = SquashedGaussianHead((-9.0,), (9.0,))
    p, q = (torch.tensor([x]) for x in (0.7, -0.2))
    expected = gaussian.kl(p, q, p, -q).item()
    found = agreement(always([0.7, -0.2], squashed), always([0.7, 0.2], squashed), STATES)
    assert found.kl == pytest.approx(expected, rel=1e-5)


def test_families_without_a_kl_are_compared_by_their_actions():
    teacher = always([0.5, 0.0], SquashedGaussianHead((-1.0,), (1.0,)))
    student = always([math.tanh(0.5)], DeterministicHead((-1.0,), (1.0,)))
    found = agreement(teacher, student, STATES)
    assert found.top_action == 1.0
    assert found.kl is None


@pytest.mark.parametrize(
    "heads",
    [
        (CategoricalHead(2), CategoricalHead(3)),
        (CategoricalHead(2), GaussianHead((0.0,), (1.0,))),
        (DeterministicHead((0.0, 0.0), (1.0, 1.0)), QValueHead(2)),
        (DeterministicHead((0.0,), (1.0,)), DeterministicHead((0.0, 0.0), (1.0, 1.0))),
        (GaussianHead((0.0, 0.0), (1.0, 1.0)), DeterministicHead((0.0,), (1.0,))),
    ],
    ids=lambda heads: "-".join(type(head).__name__ for head in heads),
)
def test_policies_of_different_actions_are_refused(heads):
    with pytest.raises(ShapeError, match="different actions"):
        agreement(*(linear(head) for head in heads), STATES)


def test_no_states_are_refused():
    with pytest.raises(ShapeError, match="no states to compare on"):
        agreement(linear(CategoricalHead(2)), linear(CategoricalHead(2)), STATES[:0])


def test_batches_change_nothing_and_each_state_is_asked_once(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 7)
    teacher, student = (policy(lambda x, i=i: x[:, i : i + 3], CategoricalHead(3)) for i in (0, 1))
    cut = agreement(teacher, student, STATES)
    assert num_asked(teacher) == num_asked(student) == 400
    monkeypatch.undo()
    assert cut == agreement(teacher, student, STATES)


def test_an_infinite_kl_is_null_in_json():
    """JSON has no infinity."""
    teacher = always([0.0, 0.0], CategoricalHead(2))
    student = always([0.0, -math.inf], CategoricalHead(2))
    found = agreement(teacher, student, STATES)
    assert found.kl == math.inf
    pair = AgreementPair(found, Agreement(0.5, 0.25, 10))
    assert json.loads(json.dumps(pair.to_json(), allow_nan=False)) == {
        "student_states": {"top_action": 1.0, "kl": None, "states": 400},
        "teacher_states": {"top_action": 0.5, "kl": 0.25, "states": 10},
    }
