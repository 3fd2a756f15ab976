import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_policies import HEADS, info_for

from rldistill.core import CategoricalHead, Head, NetworkPolicy, QValueHead
from rldistill.data.replay import Replay
from rldistill.errors import NotFiniteError
from rldistill.maths import categorical
from rldistill.methods.catalogue import ROWS
from rldistill.methods.method import Learning
from rldistill.methods.terms import align
from rldistill.students.mlp import Mlp
from rldistill.students.specs import MlpSpec
from rldistill.train.checkpoint import flatten, load_checkpoint, save_checkpoint, unflatten
from rldistill.train.learners import PerStateLearner

HEAD = CategoricalHead(3)
FAST = Learning(learning_rate=1e-2, batch_size=64)


def states(seed: int, count: int = 1000) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def network(seed: int, head: Head = HEAD, gain: float = 1.0) -> NetworkPolicy:
    torch.manual_seed(seed)
    net = Mlp(MlpSpec((16, 16)), 4, head)
    with torch.no_grad():
        net.layers[-1].weight.normal_(std=gain)
    return NetworkPolicy(net, info_for(head))


def teacher_of(head: Head = HEAD) -> NetworkPolicy:
    return network(100, head)


def memory_of(teacher: NetworkPolicy) -> Replay:
    x = states(0)
    memory = Replay(len(x), (4,), teacher.info.head.num_outputs)
    with torch.no_grad():
        memory.add(x, teacher.raw(x), torch.ones(len(x), dtype=torch.bool))
    return memory


def learner_of(
    seed: int = 0, learning: Learning = FAST, head: Head = HEAD, loss: str = "kl"
) -> PerStateLearner:
    student = network(seed, CategoricalHead(3) if isinstance(head, QValueHead) else head, 0.01)
    alignment = align(replace(ROWS["dagger"], loss=loss), head, student.info.head, 1.0)
    generator = torch.Generator().manual_seed(seed)
    return PerStateLearner(student, alignment, learning, generator)


def weights(policy: NetworkPolicy) -> list[torch.Tensor]:
    return [x.detach().clone() for x in policy.module.state_dict().values()]


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def p_value(before: torch.Tensor, after: torch.Tensor) -> float:
    """Of no improvement, by 9,999 random flips of the signs of the paired differences."""
    gain = (before - after).double().numpy()
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (9_999, len(gain)))
    return float((1 + ((signs * gain).mean(-1) >= gain.mean()).sum()) / 10_000)


@pytest.mark.parametrize("loss", ["nll", "mse", "kl", "reverse_kl", "js", "cross_entropy"])
@pytest.mark.parametrize("head", [HEAD, QValueHead(3)], ids=["logits", "q-values"])
def test_learning_a_teacher_of_its_own_architecture_lowers_the_loss_on_unseen_states(loss, head):
    """A permutation test against the untrained student; both networks, running average too."""
    teacher, learner, unseen = teacher_of(head), learner_of(loss=loss, head=head), states(1, 300)

    def loss_of(policy: NetworkPolicy) -> torch.Tensor:
        with torch.no_grad():
            return learner.alignment(teacher.raw(unseen), policy.raw(unseen))

    untrained = loss_of(learner.student)
    learner.learn(memory_of(teacher), 100)
    assert p_value(untrained, loss_of(learner.student)) < 0.001
    assert p_value(untrained, loss_of(learner.tested)) < 0.001


def test_the_permutation_test_sees_nothing_where_nothing_was_learnt():
    """Labels that belong to other states teach nothing about unseen ones."""
    teacher, learner, unseen = teacher_of(), learner_of(), states(1, 300)
    memory = Replay(1000, (4,), 3)
    with torch.no_grad():
        shuffled = 3 * torch.randn(1000, 3, generator=torch.Generator().manual_seed(5))
        memory.add(states(0), shuffled, torch.ones(1000, dtype=torch.bool))
        untrained = categorical.kl(teacher.raw(unseen), learner.student.raw(unseen))
    learner.learn(memory, 100)
    with torch.no_grad():
        trained = categorical.kl(teacher.raw(unseen), learner.student.raw(unseen))
    assert p_value(untrained, trained) > 0.05


@pytest.mark.parametrize("name", ["gaussian", "squashed-gaussian", "deterministic"])
def test_continuous_teachers_are_learnt_too(name):
    teacher, learner, unseen = teacher_of(HEADS[name]), learner_of(head=HEADS[name]), states(1, 300)
    with torch.no_grad():
        before = learner.alignment(teacher.raw(unseen), learner.tested.raw(unseen))
        learner_loss = learner.learn
    learner_loss(memory_of(teacher), 100)
    with torch.no_grad():
        after = learner.alignment(teacher.raw(unseen), learner.tested.raw(unseen))
    assert p_value(before, after) < 0.001


def test_no_gradient_reaches_the_labels_and_the_teacher_does_not_change():
    teacher, learner = teacher_of(), learner_of()
    before = weights(teacher)
    raw = teacher.raw(states(0, 64))  # still part of the teacher's graph
    learner._update(states(0, 64), raw)
    assert equal(weights(teacher), before)
    assert all(p.grad is None for p in teacher.module.parameters())


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("average", [0.0, 0.99])
def test_the_same_seed_gives_the_same_weights(optimiser, average):
    learning = replace(FAST, optimiser=optimiser, average=average)
    ran = []
    for seed in (0, 0, 1):
        learner = learner_of(seed, learning)
        learner.learn(memory_of(teacher_of()), 30)
        ran.append(weights(learner.student) + weights(learner.tested))
    assert equal(ran[0], ran[1])
    assert not equal(ran[0], ran[2])


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("average", [0.0, 0.99])
def test_a_learner_taken_through_a_checkpoint_goes_on_bit_for_bit(tmp_path, optimiser, average):
    """20 updates, saved and loaded into a learner of another start, 20 more: as 40 at a stretch."""
    learning = replace(FAST, optimiser=optimiser, average=average, max_grad_norm=0.5)
    memory = memory_of(teacher_of())
    whole, first, second = (learner_of(seed, learning) for seed in (0, 0, 7))
    whole.fit_normaliser(states(0))
    first.fit_normaliser(states(0))
    whole.learn(memory, 20)
    first.learn(memory, 20)
    through(tmp_path, first, second)
    whole.learn(memory, 20)
    second.learn(memory, 20)
    assert second.updates == 40
    assert equal(weights(second.student), weights(whole.student))
    assert equal(weights(second.tested), weights(whole.tested))
    assert (second.tested is second.student) == (average == 0.0)


def through(folder: Path, old: PerStateLearner, new: PerStateLearner) -> None:
    """Save one learner and load it into another, as a run does."""
    tensors, rest = flatten("learner", old.state_dict())
    tensors["batches"] = old.generator.get_state()
    save_checkpoint(folder / "checkpoint", tensors, {"learner": rest})
    found, record = load_checkpoint(folder / "checkpoint")
    new.load_state_dict(unflatten(record["learner"], found))
    new.generator.set_state(found["batches"])


def test_the_average_follows_the_weights_with_its_decay():
    """By hand: average <- decay * average + (1 - decay) * weights, decay = min(0.9, n/(n + 10))."""
    learner, memory = learner_of(learning=replace(FAST, average=0.9)), memory_of(teacher_of())
    expected = [x.double() for x in weights(learner.tested)]
    for n in range(1, 120):
        learner.learn(memory, 1)
        decay = min(0.9, n / (n + 10))
        now = weights(learner.student)
        expected = [decay * a + (1 - decay) * w for a, w in zip(expected, now, strict=True)]
    for found, by_hand in zip(weights(learner.tested), expected, strict=True):
        torch.testing.assert_close(found.double(), by_hand, atol=1e-5, rtol=1e-4)
    assert not equal(weights(learner.tested), weights(learner.student))
    assert not any(p.requires_grad for p in learner.tested.module.parameters())


def test_without_an_average_the_student_itself_is_tested():
    learner = learner_of(learning=replace(FAST, average=0.0))
    assert learner.tested is learner.student


def test_both_networks_see_the_same_normalised_inputs():
    learner = learner_of()
    learner.fit_normaliser(5 + 3 * states(0))
    for policy in (learner.student, learner.tested):
        assert (policy.module.normaliser.mean - 5).abs().max() < 0.5
        assert (policy.module.normaliser.inverse_std - 1 / 3).abs().max() < 0.05


def test_the_loss_returned_is_the_mean_over_the_updates():
    """With weights that hardly move: the loss of the untrained student."""
    teacher, learner = teacher_of(), learner_of(learning=replace(FAST, learning_rate=1e-12))
    found = learner.learn(memory_of(teacher), 200)
    with torch.no_grad():
        expected = categorical.kl(teacher.raw(states(0)), learner.student.raw(states(0))).mean()
    assert found == pytest.approx(expected.item(), rel=0.05)
    assert learner.learn(memory_of(teacher), 0) == 0.0
    assert learner.updates == 200


def test_gradients_are_scaled_down_to_their_largest_norm():
    learner = learner_of(learning=replace(FAST, max_grad_norm=1e-3))
    learner.learn(memory_of(teacher_of()), 1)
    norms = [p.grad.norm() for p in learner.student.module.parameters()]
    assert torch.stack(norms).norm().item() == pytest.approx(1e-3, rel=1e-3)
    free = learner_of()
    free.learn(memory_of(teacher_of()), 1)
    norms = [p.grad.norm() for p in free.student.module.parameters()]
    assert torch.stack(norms).norm().item() > 1e-3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(value):
    memory = Replay(10, (4,), 3)
    labels = torch.full((10, 3), value)
    memory.add(states(0, 10), labels, torch.ones(10, dtype=torch.bool))
    with pytest.raises(
        NotFiniteError, match=r"the loss became nan after 5 updates: lower the lear"
    ):
        learner_of(loss="mse").learn(memory, 5)


def test_states_are_drawn_from_the_memory_by_the_learners_own_generator():
    """The global random state neither matters nor moves."""
    a, b = learner_of(), learner_of()
    a.learn(memory_of(teacher_of()), 10)
    torch.manual_seed(12345)
    memory = memory_of(copy.deepcopy(teacher_of()))
    before = torch.get_rng_state()
    b.learn(memory, 10)
    assert torch.equal(torch.get_rng_state(), before)
    assert equal(weights(a.student), weights(b.student))
