"""Actor-Mimic's learner: the loss by hand, labels made once, and what its gradient moves."""

from dataclasses import replace

import pytest
import torch
from own_rows import deep_follower
from torch import nn

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.data.replay import Replay
from rldistill.maths import categorical
from rldistill.methods.catalogue import get_method
from rldistill.methods.learner_settings import FeatureRegression
from rldistill.methods.terms import align
from rldistill.students.mlp import Mlp
from rldistill.students.specs import MlpSpec
from rldistill.train.mimic import FeatureTeacher, MimicLearner

STATES = 2 * torch.rand(300, 2, generator=torch.Generator().manual_seed(0)) - 1


def learner_of(teacher: NetworkPolicy, weight: float = 0.01) -> MimicLearner:
    torch.manual_seed(0)
    head = CategoricalHead(2)
    student = NetworkPolicy(
        Mlp(MlpSpec((5,)), 2, head), replace(teacher.info, name="mlp:5", head=head)
    )
    row = get_method("actor-mimic")
    learning = replace(row.learning, batch_size=64, learning_rate=1e-2)
    return MimicLearner(
        student,
        FeatureTeacher.of(teacher),
        align(row, teacher.info.head, head, None),
        (learning, FeatureRegression(weight=weight)),
        torch.Generator().manual_seed(0),
    )


def test_a_label_is_the_raw_outputs_and_then_the_hidden_layer():
    teacher = FeatureTeacher.of(deep_follower())
    assert teacher.label_width == 4
    labels = teacher.raw(STATES)
    layers = teacher.policy.module
    torch.testing.assert_close(labels[:, :2], layers(STATES))
    torch.testing.assert_close(labels[:, 2:], layers[:2](STATES))


@pytest.mark.parametrize("q_values", [False, True])
def test_the_loss_is_the_papers(q_values):
    """Cross-entropy with softmax(Q_E / 1), plus 0.01 times the squared distance, summed."""
    teacher = deep_follower(q_values)
    learner = learner_of(teacher)
    labels = FeatureTeacher.of(teacher).raw(STATES)
    layers, projection = learner.student.module.layers, learner._projection
    hidden = layers[:-1](STATES)
    missed = (hidden @ projection.weight.T + projection.bias - labels[:, 2:]) ** 2
    expected = categorical.cross_entropy(labels[:, :2], layers(STATES)) + 0.01 * missed.sum(-1)
    learner.loss_weight = 1.0
    torch.testing.assert_close(learner.loss(STATES, labels), expected.mean())


def test_the_features_shape_the_student_and_the_last_layer_only_by_the_loss():
    """With loss weight 0 the gradient of the last layer is 0 and that of the hidden one is not."""
    teacher = deep_follower()
    learner = learner_of(teacher)
    learner.loss_weight = 0.0
    learner.loss(STATES, FeatureTeacher.of(teacher).raw(STATES)).backward()
    first, last = learner.student.module.layers[0], learner.student.module.layers[-1]
    assert first.weight.grad.abs().sum() > 0
    assert last.weight.grad.abs().sum() == 0
    assert learner._projection.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in teacher.module.parameters())


def test_learning_brings_the_features_nearer():
    """The student's projected hidden layer explains the teacher's, on states it has not seen."""
    teacher = deep_follower()
    learner = learner_of(teacher, weight=1.0)
    labels = FeatureTeacher.of(teacher).raw(STATES)
    memory = Replay(200, (2,), 4)
    memory.add(STATES[:200], labels[:200], torch.ones(200, dtype=torch.bool))

    def missed() -> float:
        with torch.no_grad():
            _, hidden = learner._hidden(STATES[200:])
            return float((learner._projection(hidden) - labels[200:, 2:]).square().mean())

    before = missed()
    first = learner.learn(memory, 1)
    assert learner.learn(memory, 300) < first
    assert missed() < 0.1 * before


def test_the_teacher_is_asked_once_per_state_in_one_pass():
    """A label takes one forward of the module, and learning none."""
    teacher = deep_follower()
    counted = FeatureTeacher.of(teacher)
    calls: list[int] = []
    assert isinstance(teacher.module, nn.Sequential)
    teacher.module[0].register_forward_pre_hook(lambda m, x: calls.append(len(x[0])))
    labels = counted.raw(STATES)
    assert calls == [300]
    learner = learner_of(teacher)
    calls.clear()  # making a learner looks at a zero observation
    memory = Replay(300, (2,), 4)
    memory.add(STATES, labels, torch.ones(300, dtype=torch.bool))
    learner.learn(memory, 5)
    assert calls == []
