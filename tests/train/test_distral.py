"""Distral: the regularised reward and the prior's gradient by hand."""

from dataclasses import replace

import pytest
import torch
from own_rows import deep_follower, equal, quick_row, round_of, weights

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.data.latest import LatestRound
from rldistill.methods.terms import align
from rldistill.students.mlp import Mlp
from rldistill.students.specs import MlpSpec
from rldistill.train.distral import DistralLearner


def learner_of(seed: int = 0, gamma: float | None = None) -> DistralLearner:
    torch.manual_seed(seed)
    head, teacher = CategoricalHead(2), deep_follower()
    teacher = NetworkPolicy(teacher.module, replace(teacher.info, gamma=gamma))
    info = replace(teacher.info, name="mlp:5", head=head, fingerprint="", gamma=None)
    module = Mlp(MlpSpec((5,)), 2, head)
    with torch.no_grad():
        module.layers[-1].weight.normal_()
    row = quick_row("distral")
    alignment = align(row, head, head, None)
    generator = torch.Generator().manual_seed(seed)
    return DistralLearner(NetworkPolicy(module, info), teacher, row, alignment, generator)


def log_probs(policy: NetworkPolicy, states: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return policy.module(states.flatten(0, -2)).log_softmax(-1).unflatten(0, states.shape[:-1])


def test_actions_are_credited_with_the_regularised_reward():
    """r / unit + (alpha / beta) log pi_0(a) - (1 / beta) log pi_i(a), with 0.1 and 0.2."""
    learner, path = learner_of(), round_of(deep_follower())
    with torch.no_grad():
        learner.prior.module.layers[-1].weight.normal_()
    experience = learner._task.appraise(learner._under_prior(path))
    taken = path.actions[..., None]
    prior = log_probs(learner.prior, path.observations).gather(-1, taken)[..., 0]
    own = log_probs(learner.student, path.observations).gather(-1, taken)[..., 0]
    expected = path.rewards / learner._task.unit + 0.1 * prior - 0.2 * own
    torch.testing.assert_close(experience.credit, expected.flatten())


def test_the_prior_descends_towards_the_sum_of_its_columns():
    """d/dh_0 of the two cross-entropies = 2 pi_0 - pi_teacher - pi_student, per state."""
    learner, path = learner_of(), round_of(deep_follower())
    columns = learner.columns(path)
    states = path.observations.flatten(0, 1)
    seen: list[torch.Tensor] = []

    def keep(module: object, inputs: object, out: torch.Tensor) -> None:
        out.retain_grad()
        seen.append(out)

    handle = learner.prior.module.layers.register_forward_hook(keep)
    learner.prior_loss(columns, torch.arange(len(states))).backward()
    handle.remove()
    found = sum(out.grad for out in seen) * len(states)
    teacher = path.teacher_raw.flatten(0, 1).softmax(-1)
    student = log_probs(learner.student, states).exp()
    prior = log_probs(learner.prior, states).exp()
    torch.testing.assert_close(found, 2 * prior - teacher - student)
    assert all(p.grad is None for p in learner.student.module.parameters())


def test_the_weight_of_the_loss_is_that_of_the_teachers_column():
    learner, path = learner_of(), round_of(deep_follower())
    learner.loss_weight = 0.25
    assert [column.weight for column in learner.columns(path)] == [0.25, 1.0]


def test_the_prior_ends_at_the_mean_of_its_columns():
    """A fixed student and a fixed teacher, one state: pi_0 is the mean of both."""
    learner = learner_of()
    path = round_of(deep_follower())
    one = path.observations[:1, :1].expand(16, 8, 2)
    with torch.no_grad():
        raw = deep_follower().raw(one.flatten(0, 1)).unflatten(0, (16, 8))
    path = replace(path, observations=one, teacher_raw=raw)
    columns = learner.columns(path)
    for _ in range(400):
        learner._prior.step(learner.prior_loss(columns, torch.arange(8)))
    expected = (raw[0, 0].softmax(-1) + log_probs(learner.student, one)[0, 0].exp()) / 2
    torch.testing.assert_close(
        log_probs(learner.prior, one)[0, 0].exp(), expected, atol=0.02, rtol=0.0
    )


def test_the_teacher_reaches_the_student_by_way_of_the_prior_alone():
    """With other labels the first round gives the same student and another prior."""
    opposite = deep_follower()
    with torch.no_grad():
        opposite.module[2].weight.mul_(-1.0)
    ran = []
    for teacher in (deep_follower(), opposite):
        learner = learner_of()
        for seed in range(2):
            memory = LatestRound()
            memory.put(round_of(teacher, seed))
            learner.learn(memory, 3)
            ran.append((weights(learner.student), weights(learner.prior)))
    (first, first_prior), (second, _), (other, other_prior), (after, _) = ran
    assert equal(first, other)
    assert not equal(first_prior, other_prior)
    assert not equal(second, after)


@pytest.mark.parametrize(("given", "used"), [(0.7, 0.7), (None, 0.99)])
def test_the_discount_is_the_teachers(given, used):
    assert learner_of(gamma=given)._task._appraiser.gamma == used


def test_both_networks_see_the_same_normalised_inputs():
    learner = learner_of()
    learner.fit_normaliser(5 + 3 * torch.randn(500, 2))
    for policy in (learner.student, learner.prior):
        assert (policy.module.normaliser.mean - 5).abs().max() < 0.5
    assert learner.acting is learner.student


def test_phantom_steps_are_no_part_of_the_columns():
    learner, path = learner_of(), round_of(deep_follower())
    valid = path.valid.clone()
    valid[1] = False
    states = [c.observations for c in learner.columns(replace(path, valid=valid))]
    for found in states:
        torch.testing.assert_close(found, path.observations[valid])
