"""Dual Policy Distillation: turns, weights by hand, and who learns from whom."""

import math
from dataclasses import replace

import pytest
import torch
from own_rows import deep_follower, equal, quick_row, round_of, state_of, weights

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.data.latest import LatestRound
from rldistill.maths import categorical
from rldistill.methods.learner_settings import Peer
from rldistill.methods.terms import align
from rldistill.students.mlp import Mlp
from rldistill.students.specs import MlpSpec
from rldistill.train.dual import PEER, STUDENT, DualLearner

STATES = 2 * torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) - 1


def learner_of(seed: int = 0, **settings: float) -> DualLearner:
    torch.manual_seed(seed)
    head, teacher = CategoricalHead(2), deep_follower()
    info = replace(teacher.info, name="mlp:5", head=head, fingerprint="")
    row = quick_row("dual", learner=Peer(**settings))
    alignment = align(row, head, head, None)
    student = NetworkPolicy(Mlp(MlpSpec((5,)), 2, head), info)
    return DualLearner(student, teacher, row, alignment, torch.Generator().manual_seed(seed))


def memory_of(seed: int, teacher: NetworkPolicy | None = None) -> LatestRound:
    memory = LatestRound()
    memory.put(round_of(teacher or deep_follower(), seed))
    return memory


def valued(learner: DualLearner, student: float, peer: float) -> DualLearner:
    """With critics that say the same in every state."""
    for which, value in ((STUDENT, student), (PEER, peer)):
        critic = learner._pair[which]._stepper.critic
        with torch.no_grad():
            critic.layers[-1].bias.fill_(value)
    return learner


def test_they_begin_apart_and_take_turns_the_peer_first():
    learner = learner_of()
    assert not equal(weights(learner.student), weights(learner.peer))
    acted = []
    for seed in range(4):
        acted.append(learner.acting is learner.peer)
        assert learner.acting in (learner.peer, learner.student)
        learner.learn(memory_of(seed), 1)
    assert acted == [True, False, True, False]


def test_only_who_acted_learns():
    learner = learner_of()
    before = weights(learner.student), weights(learner.peer)
    learner.learn(memory_of(0), 2)
    assert equal(weights(learner.student), before[0])
    assert not equal(weights(learner.peer), before[1])
    between = weights(learner.peer)
    learner.learn(memory_of(1), 2)
    assert not equal(weights(learner.student), before[0])
    assert equal(weights(learner.peer), between)


def test_the_weight_is_the_exponential_of_the_other_ones_advantage():
    """exp(0.5 (3 - 1)) = e, its inverse the other way around, and at most 10."""
    learner = valued(learner_of(alpha=0.5), student=1.0, peer=3.0)
    student, peer = learner._pair
    torch.testing.assert_close(learner.weights(student, peer, STATES), torch.full((50,), math.e))
    torch.testing.assert_close(
        learner.weights(peer, student, STATES), torch.full((50,), 1 / math.e)
    )
    valued(learner, student=1.0, peer=99.0)
    assert (learner.weights(student, peer, STATES) == 10.0).all()


def test_values_are_compared_in_raw_reward_and_weighed_in_units_of_its_deviation():
    """Each critic counts in its own unit: 1 of 4 against 3 of 2 in raw reward, by unit 4."""
    learner = valued(learner_of(alpha=1.0), student=1.0, peer=3.0)
    for which, unit in ((STUDENT, 4.0), (PEER, 2.0)):
        scale = learner._pair[which]._appraiser.scale
        scale.load_state_dict({"count": 1, "mean": 0.0, "squares": unit**2})
    found = learner.weights(*learner._pair, STATES)
    torch.testing.assert_close(found, torch.full((50,), math.exp((6.0 - 4.0) / 4.0)))


def test_the_gradient_is_that_of_the_weighed_kl_on_the_others_states():
    """One plain step down: parameters move along - grad mean w KL(other || own)."""
    learner = valued(learner_of(alpha=0.5, passes=1), student=1.0, peer=3.0)
    student, peer = learner._pair
    found: list[torch.Tensor] = []
    student.step = lambda loss: found.append(loss)  # type: ignore[method-assign]
    learner._follow(student, peer, STATES)
    with torch.no_grad():
        apart = categorical.kl(peer.student.raw(STATES), student.student.raw(STATES))
    assert len(found) == 1
    torch.testing.assert_close(found[0].detach(), (math.e * apart).mean())
    found[0].backward()
    assert all(p.grad is not None for p in student.student.module.parameters())
    assert all(p.grad is None for p in peer.student.module.parameters())


@pytest.mark.parametrize(("peer", "nearer"), [(5.0, True), (-50.0, False)])
def test_the_student_follows_a_better_peer_and_not_a_worse_one(peer, nearer):
    learner = valued(learner_of(), student=0.0, peer=peer)
    own, other = learner._pair
    with torch.no_grad():
        learner.peer.module.layers[-1].weight.mul_(300.0)

    def apart() -> float:
        with torch.no_grad():
            return float(categorical.kl(other.student.raw(STATES), own.student.raw(STATES)).mean())

    before = apart()
    for _ in range(60):
        learner._follow(own, other, STATES)
    assert (apart() < 0.5 * before) == nearer


def test_the_loaded_teacher_leads_the_peer_alone():
    """Other labels change the peer's first round; in the student's round they change nothing."""
    opposite = deep_follower()
    with torch.no_grad():
        opposite.module[2].weight.mul_(-1.0)
    ran = []
    for first, second in ((None, None), (opposite, None), (None, opposite)):
        learner = learner_of()
        learner.learn(memory_of(0, first), 4)
        peer = weights(learner.peer)
        learner.learn(memory_of(1, second), 4)
        ran.append((peer, weights(learner.student)))
    assert not equal(ran[0][0], ran[1][0])
    assert not equal(ran[0][1], ran[1][1])  # by way of the peer
    assert equal(ran[0][1], ran[2][1])


def test_without_weight_the_teacher_leads_nobody():
    opposite = deep_follower()
    with torch.no_grad():
        opposite.module[2].weight.mul_(-1.0)
    ran = []
    for teacher in (None, opposite):
        learner = learner_of()
        learner.loss_weight = 0.0
        learner.learn(memory_of(0, teacher), 4)
        ran.append(weights(learner.peer))
    assert equal(*ran)


def test_the_state_holds_both_and_whose_turn_it_is():
    learner = learner_of()
    learner.learn(memory_of(0), 1)
    names = state_of(learner)
    assert any(name.startswith(".student.student") for name in names)
    assert any(name.startswith(".peer.critic") for name in names)
    assert ".states.1" in names
    assert learner.state_dict()["turn"] == STUDENT


def test_phantom_steps_are_not_followed():
    learner, path = learner_of(), round_of(deep_follower(), 0)
    valid = path.valid.clone()
    valid[1] = False
    memory = LatestRound()
    terminated = path.terminated.clone()
    terminated[0] = True
    memory.put(replace(path, valid=valid, terminated=terminated))
    learner.learn(memory, 1)
    kept = learner._states[PEER]
    assert kept is not None
    torch.testing.assert_close(kept, path.observations[valid])
