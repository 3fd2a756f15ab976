"""The actor-critic learner: what it minimises, and how it goes on."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_rounds import REWARDS, row, the_round, the_student, the_teacher

from rldistill.core import GaussianHead, NetworkPolicy, Trajectory
from rldistill.data.latest import LatestRound
from rldistill.errors import NotFiniteError, SettingError
from rldistill.methods.method import Learning, Method
from rldistill.methods.terms import align
from rldistill.students.families import parse_spec
from rldistill.students.mlp import Mlp
from rldistill.train.actor_critic import ActorCriticLearner, minibatches, require_value
from rldistill.train.checkpoint import flatten, unflatten
from rldistill.train.experience import Experience
from rldistill.train.learning import make_learner


def learner_of(
    method: Method, student: NetworkPolicy | None = None, teacher: NetworkPolicy | None = None
) -> ActorCriticLearner:
    torch.manual_seed(0)
    student, teacher = student or the_student(), teacher or the_teacher()
    alignment = align(method, teacher.info.head, student.info.head, None)
    learner = make_learner(method, student, teacher, alignment, torch.Generator().manual_seed(0))
    assert isinstance(learner, ActorCriticLearner)
    return learner


def holding(trajectory: Trajectory | None = None) -> LatestRound:
    memory = LatestRound()
    memory.put(the_round() if trajectory is None else trajectory)
    return memory


def experience(seed: int, learner: ActorCriticLearner, num_columns: int = 1) -> Experience:
    """Rows whose actions were taken by a somewhat different student."""
    rng = np.random.default_rng(seed)
    states = torch.from_numpy(rng.integers(0, 3, 7))
    seen = torch.eye(3)[states]
    actions = torch.from_numpy(rng.integers(0, 2, 7))
    with torch.no_grad():
        now = learner.alignment.student_log_prob(learner.student.raw(seen), actions)
    draw = lambda *shape: torch.from_numpy(rng.normal(size=shape))  # noqa: E731
    return Experience(
        observations=seen, actions=actions, teacher_raw=the_teacher().raw(seen).detach(),
        log_prob=now + 0.4 * draw(7), credit=draw(7), advantages=draw(7),
        targets=draw(7, num_columns), weights=draw(7).abs(), teacher_values=draw(7),
    )  # fmt: skip


@given(st.integers(0, 1000), st.floats(0.01, 0.5), st.floats(0, 2), st.floats(0, 1), st.booleans())
@settings(deadline=None, max_examples=40)
def test_what_is_minimised_is_the_formula(seed, clip, loss_weight, bonus, proximal):
    """A second time in numpy: clip, loss, gate, PPD's factor, entropy, both critic parts."""
    method = row("ppd", clip=clip, entropy_bonus=bonus, value_weight=0.7, value_distillation=0.3)
    learner = learner_of(replace(method, proximal=proximal))
    learner.loss_weight = loss_weight
    batch = experience(seed, learner)
    total, shown = learner.loss(batch)
    log_p = learner.student.raw(batch.observations).log_softmax(-1).detach().numpy()
    log_t = batch.teacher_raw.log_softmax(-1).numpy()
    ratio = np.exp(log_p[np.arange(7), batch.actions] - batch.log_prob.numpy())
    gain = batch.advantages.numpy()
    surrogate = np.minimum(ratio * gain, ratio.clip(1 - clip, 1 + clip) * gain)
    kl = (np.exp(log_t) * (log_t - log_p)).sum(-1)
    factor = np.maximum(ratio, 1 - clip) if proximal else 1.0
    entropy = -(np.exp(log_p) * log_p).sum(-1)
    # A young critic says 0.
    critic = (
        0.7 * 0.5 * batch.targets.numpy()[:, 0] ** 2 + 0.3 * 0.5 * batch.teacher_values.numpy() ** 2
    )
    weights = batch.weights.numpy()
    expected = -surrogate + loss_weight * weights * factor * kl - bonus * entropy + critic
    assert float(total.detach()) == pytest.approx(expected.mean(), rel=1e-6, abs=1e-9)
    assert float(shown) == pytest.approx(kl.mean(), rel=1e-6)


def test_the_teacher_s_value_is_distilled_into_the_column_of_the_return():
    """A row that credits losses has two columns; R_hat's, the first, is no return."""
    learner = learner_of(row("n-distill", value_weight=0.0, value_distillation=1.0, clip=0.0))
    batch = experience(0, learner, num_columns=2)
    total, _ = learner.loss(batch)
    critic = learner._stepper.critic  # what it teaches is seen in its gradient alone
    assert critic is not None
    last = list(critic.parameters())[-1]
    (slope,) = torch.autograd.grad(total, last)
    assert slope.tolist() == pytest.approx([0.0, -float(batch.teacher_values.mean())])


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [(1.5, 1.0, False), (0.5, -1.0, False), (1.5, -1.0, True), (0.5, 1.0, True)],
)
def test_clipping_stops_what_went_far_enough_and_never_the_way_back(ratio, advantage, moves):
    learner = learner_of(row("baseline", clip=0.2, value_weight=0.0))
    batch = experience(0, learner)
    with torch.no_grad():
        now = learner.alignment.student_log_prob(
            learner.student.raw(batch.observations), batch.actions
        )
    batch = replace(batch, log_prob=now - np.log(ratio), advantages=0 * now + advantage)
    total, _ = learner.loss(batch)
    (gradient,) = torch.autograd.grad(total, [learner.student.module.table])
    assert bool(gradient.abs().sum() > 0) == moves


@pytest.mark.parametrize(("ratio", "moves"), [(0.5, False), (0.9, True), (1.5, True)])
def test_ppd_lets_the_ratio_fall_without_a_discount_on_its_loss(ratio, moves):
    """KL max(ratio, 0.8): below 0.8 the ratio itself is not learnt through."""
    learner = learner_of(row("ppd", value_weight=0.0))
    batch = experience(0, learner)
    with torch.no_grad():
        now = learner.alignment.student_log_prob(
            learner.student.raw(batch.observations), batch.actions
        )
    batch = replace(batch, log_prob=now - np.log(ratio), advantages=0 * now)
    raw = learner.student.raw(batch.observations)
    kl = learner.alignment(batch.teacher_raw, raw)
    (plain,) = torch.autograd.grad((batch.weights * kl).mean(), [learner.student.module.table])
    (found,) = torch.autograd.grad(learner.loss(batch)[0], [learner.student.module.table])
    factor = max(ratio, 0.8)
    assert (not torch.allclose(found, factor * plain)) == moves


def test_a_row_without_a_loss_shows_minus_its_credit():
    learner = learner_of(row("baseline"))
    batch = experience(3, learner)
    assert float(learner.loss(batch)[1]) == pytest.approx(-float(batch.credit.mean()))


def test_a_gated_row_without_credit_is_its_weighed_loss():
    """No ratio and no advantage: what the actions were does not matter."""
    learner = learner_of(row("value-gated", value_weight=0.0))
    batch = experience(1, learner)
    other = replace(batch, actions=1 - batch.actions, advantages=batch.advantages + 5.0)
    assert torch.equal(learner.loss(batch)[0], learner.loss(other)[0])


@pytest.mark.parametrize(("rows", "size"), [(10, 4), (10, 10), (3, 100), (9, 2)])
def test_every_row_is_in_every_pass_once(rows, size):
    """Parts differ by at most one row, and none is larger than asked."""
    per_pass = -(-rows // size)
    drawn = list(minibatches(rows, size, 3 * per_pass, torch.Generator().manual_seed(0)))
    passes = [drawn[i : i + per_pass] for i in range(0, len(drawn), per_pass)]
    for parts in passes:
        assert sorted(torch.cat(parts).tolist()) == list(range(rows))
        assert max(map(len, parts)) <= min(size, rows)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    orders = [torch.cat(parts).tolist() for parts in passes]
    assert orders[0] != orders[1] or rows <= 3


def test_learning_moves_student_and_critic_and_counts():
    learner = learner_of(row("n-distill+R"))
    before = learner.student.module.table.detach().clone()
    shown = learner.learn(holding(), 6)
    assert learner.updates == 6
    assert np.isfinite(shown)
    assert not torch.equal(learner.student.module.table, before)
    assert any(bool(x.any()) for x in learner.state_dict()["critic"].values())
    assert learner.is_finite


def test_a_gated_row_learns_the_students_value():
    """value-gated: the critic learns V of the student, towards the targets."""
    method = row("value-gated", critic_hidden=())
    method = replace(method, learning=Learning(learning_rate=0.1, batch_size=100, average=0.0))
    learner = learner_of(method)
    found = learner.appraise(holding())
    learner.learn(holding(), 400)
    x = found.observations
    weight, bias = (learner.state_dict()["critic"][f"layers.0.{n}"] for n in ("weight", "bias"))
    values = x @ weight.T + bias
    for state in range(3):
        here = x.argmax(-1) == state
        mean = float(found.targets[here].mean())
        assert float(values[here].mean()) == pytest.approx(mean, abs=0.1)


@pytest.mark.parametrize("name", ["n-distill+R", "value-gated+R", "baseline"])
def test_a_state_that_comes_back_goes_on_bit_for_bit(name):
    """Through the text of a checkpoint: weights, critic, moments, average and unit of rewards."""
    method = row(name, scale_rewards=True)
    learner, again = learner_of(method), learner_of(method)
    learner.learn(holding(), 5)
    tensors, rest = flatten("learner", learner.state_dict())
    copies = {key: tensor.clone() for key, tensor in tensors.items()}
    again.load_state_dict(unflatten(json.loads(json.dumps(rest)), copies))
    again._generator.set_state(learner._generator.get_state())
    assert again.updates == 5
    assert again.state_dict()["scale"] == learner.state_dict()["scale"]
    # The unit's episodes under way start anew, so the next round does too.
    learner._appraiser.scale.load_state_dict(learner._appraiser.scale.state_dict())
    later = the_round(rewards=3.0 * REWARDS)
    assert learner.learn(holding(later), 5) == again.learn(holding(later), 5)
    ours, theirs = (flatten("x", x.state_dict())[0] for x in (learner, again))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
def test_a_reward_that_is_no_number_ends_learning(reward):
    rewards = REWARDS.clone()
    rewards[0, 0] = reward
    learner = learner_of(row("baseline"))
    with pytest.raises(NotFiniteError, match="environment gave rewards"):
        learner.learn(holding(the_round(rewards=rewards)), 1)
    assert learner.is_finite


@pytest.mark.parametrize("name", ["baseline", "n-distill", "value-gated"])
def test_weights_that_are_no_numbers_end_learning(name):
    """Also where what is shown, a mean reward, stays finite."""
    learner = learner_of(row(name))
    with torch.no_grad():
        learner.student.module.table[0, 0] = float("nan")
    with pytest.raises(NotFiniteError, match=r"the loss became nan .*lower the learning rate"):
        learner.learn(holding(), 1)


@pytest.mark.parametrize(
    ("units", "found"),
    [("none", "has no value function"), ("normalised", "has values in normalised units")],
)
@pytest.mark.parametrize("name", ["td-teacher-v", "value-gated", "teacher-v-reward"])
def test_a_teacher_whose_value_says_nothing_is_refused(name, units, found):
    teacher = the_teacher()
    teacher = replace(teacher, info=replace(teacher.info, value_units=units))
    with pytest.raises(
        SettingError, match=rf"{name} needs the teacher's value.*{found}.*fit-critic"
    ):
        learner_of(row(name), teacher=teacher)
    require_value(teacher, row("baseline"))


def test_values_of_another_discount_are_not_compared():
    """The gate asks who is better from here on: both must count the future alike."""
    teacher = the_teacher()
    theirs = replace(teacher, info=replace(teacher.info, value_units="raw", gamma=0.9))
    with pytest.raises(SettingError, match=r"gamma 0\.99 with the teacher's.*gamma 0\.9;"):
        require_value(theirs, row("value-gated", gamma=0.99))
    require_value(theirs, row("value-gated", gamma=0.9))
    require_value(theirs, row("value-gated", gamma=None))
    require_value(theirs, row("baseline", gamma=0.99))


def test_a_run_that_distils_the_value_needs_one():
    teacher = the_teacher(None)
    with pytest.raises(SettingError, match="baseline needs the teacher's value"):
        learner_of(row("baseline", value_distillation=0.1), teacher=teacher)


def continuous(seed: int) -> NetworkPolicy:
    torch.manual_seed(seed)
    head = GaussianHead((-1.0, -1.0), (1.0, 1.0))
    info = replace(the_teacher().info, head=head, observation_shape=(3,))
    return NetworkPolicy(Mlp(parse_spec("mlp:8"), 3, head), info)


def continuous_round(student: NetworkPolicy, teacher: NetworkPolicy) -> Trajectory:
    """Actions drawn by the student."""
    seen = torch.randn(7, 2, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        flat = seen[:-1].flatten(0, 1)
        actions = student(flat).sample(torch.Generator().manual_seed(1)).unflatten(0, (6, 2))
        raw = teacher.raw(flat).unflatten(0, (6, 2))
    return replace(the_round(), observations=seen[:-1], last_observations=seen[-1],
                   actions=actions, teacher_raw=raw, rewards=REWARDS.float())  # fmt: skip


@pytest.mark.parametrize(
    "name", ["n-distill+R", "kl-regularised", "exp-entropy-regularised", "ppd"]
)
def test_continuous_actions_are_learnt_from(name):
    """The deviation moves too; the ratio begins at 1."""
    student, teacher = continuous(0), continuous(1)
    learner = learner_of(row(name, entropy_bonus=0.01), student, teacher)
    trajectory = continuous_round(student, teacher)
    found = learner.appraise(holding(trajectory))
    now = learner.alignment.student_log_prob(student.raw(found.observations), found.actions)
    torch.testing.assert_close(now.detach(), found.log_prob)
    before: Any = student.module
    spread = before.log_std.detach().clone()
    learner.learn(holding(trajectory), 8)
    assert learner.is_finite
    assert not torch.equal(before.log_std, spread)


def test_the_input_normalisers_of_student_and_critic_are_fitted():
    learner = learner_of(row("baseline"), continuous(0), continuous(1))
    learner.fit_normaliser(5.0 + 2.0 * torch.randn(1000, 3))
    state = learner.state_dict()
    for network in ("student", "tested", "critic"):
        mean = state[network]["normaliser.mean"]
        torch.testing.assert_close(mean, torch.full((3,), 5.0), rtol=0, atol=0.4)
