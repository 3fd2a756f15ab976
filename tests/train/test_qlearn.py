"""The Q-learning learner: targets, loss, units and target network by hand; a small task solved."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from own_rows import deep_follower, equal, quick_row, round_of, weights

from rldistill.core import (
    CategoricalHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    QValueHead,
    Trajectory,
)
from rldistill.data.transitions import NStep, Transitions
from rldistill.errors import SettingError
from rldistill.maths import categorical
from rldistill.methods.learner_settings import QLearning
from rldistill.methods.method import Learning, Temperature
from rldistill.methods.terms import align
from rldistill.students.mlp import Mlp
from rldistill.students.specs import MlpSpec
from rldistill.train.episodes import RecentReturns
from rldistill.train.qlearn import QLearner

GAMMA = 0.5
LOGITS = CategoricalHead(2)


def learner_of(teacher_head: Head = LOGITS, seed: int = 0, **changes: Any) -> QLearner:
    """Of a student with one hidden layer on two inputs."""
    torch.manual_seed(seed)
    head = CategoricalHead(2)
    info = replace(deep_follower().info, name="mlp:5", head=head, fingerprint="")
    module = Mlp(MlpSpec((5,)), 2, head)
    with torch.no_grad():
        module.layers[-1].weight.normal_()
        module.layers[-1].bias.normal_()
    row = quick_row("qdagger", **changes)
    alignment = align(row, teacher_head, head, 2.0)
    generator = torch.Generator().manual_seed(seed)
    return QLearner(NetworkPolicy(module, info), GAMMA, row, alignment, generator)


def batch_of(count: int = 40) -> NStep:
    random = torch.Generator().manual_seed(3)
    return NStep(
        observations=torch.randn(count, 2, generator=random),
        actions=torch.randint(2, (count,), generator=random),
        returns=torch.randn(count, generator=random),
        next_observations=torch.randn(count, 2, generator=random),
        discounts=0.25 * torch.randint(2, (count,), generator=random),
        teacher_raw=torch.randn(count, 2, generator=random),
    )


def scaled(learner: QLearner, unit: float) -> QLearner:
    """With a measured deviation of returns."""
    learner._scale.load_state_dict({"count": 1, "mean": 0.0, "squares": unit**2})
    return learner


def test_the_target_is_that_of_dqn():
    """(R / unit) + discount max_a Q_target(s'), with the target network and not the student."""
    learner, batch = scaled(learner_of(), 4.0), batch_of()
    target = learner._target(batch.next_observations).detach()
    with torch.no_grad():
        learner.student.module.layers[-1].bias.add_(7.0)
    expected = batch.returns / 4 + batch.discounts * target.max(-1).values
    torch.testing.assert_close(learner.targets(batch), expected)


def test_with_double_the_student_chooses_and_the_target_values():
    learner, batch = learner_of(learner=QLearning(double=True)), batch_of()
    with torch.no_grad():
        learner.student.module.layers[-1].bias.copy_(torch.tensor([99.0, 0.0]))
    expected = batch.returns + batch.discounts * learner._target(batch.next_observations)[:, 0]
    torch.testing.assert_close(learner.targets(batch), expected.detach())


def test_the_temporal_difference_is_a_huber_loss_of_the_action_taken():
    learner, batch = learner_of(), batch_of()
    learner.loss_weight = 0.0
    taken = learner.student.module(batch.observations)[torch.arange(40), batch.actions]
    error = (taken - learner.targets(batch)).abs()
    expected = torch.where(error < 1, 0.5 * error**2, error - 0.5).mean()
    torch.testing.assert_close(learner.loss(batch), expected)


def test_both_sides_have_the_teachers_temperature_in_raw_reward():
    """Q_T / tau with tau one action gap (2), and raw Q_S = unit * Q / tau."""
    learner, batch = scaled(learner_of(QValueHead(2)), 4.0), batch_of()
    learner.loss_weight = 0.0
    alone = learner.loss(batch)
    learner.loss_weight = 3.0
    q_values = 4.0 * learner.student.module(batch.observations)
    apart = categorical.cross_entropy(batch.teacher_raw / 2.0, q_values / 2.0).mean()
    torch.testing.assert_close(learner.loss(batch), alone + 3.0 * apart)


def test_a_teacher_without_q_values_keeps_its_own_probabilities():
    """The student's temperature is then 0.1 in units of the deviation of returns."""
    learner, batch = scaled(learner_of(), 4.0), batch_of()
    learner.loss_weight = 0.0
    alone = learner.loss(batch)
    learner.loss_weight = 1.0
    q_values = learner.student.module(batch.observations)
    apart = categorical.cross_entropy(batch.teacher_raw, q_values / 0.1).mean()
    torch.testing.assert_close(learner.loss(batch), alone + apart)


def test_no_gradient_reaches_the_target_and_none_the_student_through_it():
    learner, batch = learner_of(), batch_of()
    learner.loss_weight = 0.0
    none = replace(batch, discounts=torch.zeros(40))
    target = learner.targets(batch)
    learner.loss(batch).backward()
    found = [p.grad.clone() for p in learner.student.module.parameters()]
    learner.student.module.zero_grad()
    learner.loss(replace(none, returns=target)).backward()  # the same targets, as constants
    for a, p in zip(found, learner.student.module.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad)
    assert all(p.grad is None for p in learner._target.parameters())


def test_the_target_network_follows_every_so_many_updates():
    learner, memory = (
        learner_of(learner=QLearning(target_period=7)),
        Transitions(200, (2,), 2, 0.5, 3),
    )
    memory.put(round_of(deep_follower()))
    start = [x.clone() for x in learner._target.state_dict().values()]
    learner.learn(memory, 6)
    assert equal(list(learner._target.state_dict().values()), start)
    learner.learn(memory, 1)
    assert equal(list(learner._target.state_dict().values()), weights(learner.student))
    learner.learn(memory, 1)
    assert not equal(list(learner._target.state_dict().values()), weights(learner.student))


def test_the_saved_network_gives_q_values_in_raw_reward():
    learner, states = scaled(learner_of(), 4.0), batch_of().observations
    average = learner._stepper.tested
    torch.testing.assert_close(learner.tested.raw(states), 4.0 * average.raw(states))
    assert learner.tested.info.head == QValueHead(2)
    assert learner.student.info.head == QValueHead(2)


def test_the_unit_is_measured_while_the_teacher_acts_and_fixed_afterwards():
    learner, memory = learner_of(), Transitions(2000, (2,), 2, 0.5, 3)
    memory.put(round_of(deep_follower(), seed=1))
    learner.learn(memory, 1)
    unit = learner._scale.value
    rewards = round_of(deep_follower(), seed=1).rewards.double()
    running, seen = torch.zeros(8, dtype=torch.float64), []
    for reward in rewards:
        running = GAMMA * running + reward
        seen.append(running)
    assert unit == pytest.approx(float(torch.stack(seen).std(correction=0)))
    path = round_of(deep_follower(), seed=2)
    memory.put(replace(path, rewards=100 * path.rewards))
    learner.learn(memory, 1)
    assert learner._scale.value == unit


def chain(seed: int) -> Trajectory:
    """64 episodes of a small task.

    State (1, 0): action 0 ends with reward 1; action 1 leads to (0, 1), where action a ends with
    reward 3 a.
    """
    random = torch.Generator().manual_seed(seed)
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    envs = 64
    actions = torch.randint(2, (3, envs), generator=random)
    went_on = actions[0] == 1
    observations = torch.stack(
        [
            first.expand(envs, 2),
            torch.where(went_on[:, None], second, first),
            first.expand(envs, 2),
        ]
    )
    rewards = torch.stack(
        [
            torch.where(went_on, 0.0, 1.0),
            torch.where(went_on, 3.0 * actions[1], 0.0),
            torch.zeros(envs),
        ]
    )
    yes, no = torch.ones(envs, dtype=torch.bool), torch.zeros(envs, dtype=torch.bool)
    return Trajectory(
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminated=torch.stack([~went_on, went_on, no]),
        truncated=torch.stack([no, no, no]),
        # After the end comes a phantom step: row 1 where the first ended, row 2 where the second.
        valid=torch.stack([yes, went_on, no]),
        teacher_raw=torch.zeros(3, envs, 2),
        last_observations=first.expand(envs, 2),
    )  # fmt: skip


def test_q_learning_finds_the_values_of_a_small_task():
    """Q* of the chain, in raw reward: (1, 3 gamma) in the first state, (0, 3) in the second."""
    learner = learner_of(
        learning=Learning(learning_rate=1e-2, batch_size=64, average=0.9),
        learner=QLearning(n_step=1, target_period=20),
    )
    learner.loss_weight = 0.0
    memory = Transitions(5000, (2,), 2, GAMMA, 1)
    for seed in range(8):
        memory.put(chain(seed))
    learner.learn(memory, 1500)
    with torch.no_grad():
        found = learner.tested.raw(torch.eye(2))
    torch.testing.assert_close(
        found, torch.tensor([[1.0, 3 * GAMMA], [0.0, 3.0]]), atol=0.1, rtol=0.0
    )


def test_a_student_that_was_trained_before_is_refused():
    learner = learner_of()
    trained = NetworkPolicy(
        learner.student.module,
        replace(learner.student.info, head=CategoricalHead(2), fingerprint="a", source="old run"),
    )
    with pytest.raises(SettingError, match=r"untrained student.*old run.*'mlp:5'"):
        QLearner(trained, GAMMA, quick_row("qdagger"), learner.alignment, torch.Generator())


def test_continuous_actions_are_refused():
    head = GaussianHead((-1.0,), (1.0,))
    with pytest.raises(SettingError, match="qdagger is defined for discrete actions"):
        align(quick_row("qdagger"), head, head, None)


def test_an_absolute_temperature_is_the_papers():
    """tau = 0.1 in raw reward on both sides, where a row of one's own asks for it."""
    learner = scaled(learner_of(QValueHead(2), teacher_temperature=Temperature(q_values=0.1)), 4.0)
    alignment = learner._scaled_alignment()
    assert alignment.teacher_temperature == 0.1
    assert alignment.student_temperature == pytest.approx(0.1 / 4.0)


def test_episodes_that_the_teacher_played_or_began_do_not_count_as_the_students():
    """The score that weans is the student's own: mixed episodes are left out."""
    recent = RecentReturns()
    path = round_of(deep_follower(), length=4, envs=2)
    path = replace(path, rewards=torch.ones(4, 2))
    ended = torch.zeros(4, 2, dtype=torch.bool)
    ended[1] = True
    valid = torch.ones(4, 2, dtype=torch.bool)
    valid[2] = False
    whole = replace(path, terminated=ended, valid=valid)
    recent.add(whole, counted=False)
    assert recent.mean is None
    recent.add(whole)  # ends at step 1 the episodes that the teacher began at step 3
    assert recent.mean is None
    recent.add(whole)  # 1 reward of step 3 above, and 2 of these
    assert recent.mean == pytest.approx(3.0)
    assert not math.isnan(np.float64(recent.mean))
