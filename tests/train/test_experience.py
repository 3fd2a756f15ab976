"""Appraising a round: credit, advantages, targets and gate weights of its valid steps."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from small_rounds import (
    ACTIONS,
    REWARDS,
    STATES,
    TEACHER_VALUES,
    VALID,
    VALUES,
    alignment_of,
    appraised,
    at,
    flags,
    row,
    the_round,
    the_student,
    the_teacher,
)

from rldistill.errors import NotFiniteError
from rldistill.methods.catalogue import ROWS, get_method
from rldistill.methods.method import Gate, Method
from rldistill.methods.rewards import LARGEST_GATE
from rldistill.train.experience import GAMMA, Appraiser

V = VALUES[:, 0]  # of states 0, 1, 2: 1, 2, 3


def test_returns_bootstrap_at_a_cut_and_are_0_after_an_end():
    """gamma 1/2, lambda 1: A_t + V(s_t) = r_t + ... by hand, in both environments."""
    found = appraised(row("baseline"))
    returns = found.targets[:, 0]
    # Environment 0: 1 + 2/2, 2, -, 4 + (5 + (6 + V(0)/2)/2)/2, ...
    assert at(returns, 1, 0) == pytest.approx(2.0)
    assert at(returns, 0, 0) == pytest.approx(2.0)
    assert at(returns, 5, 0) == pytest.approx(6.0 + V[0] / 2)
    assert at(returns, 3, 0) == pytest.approx(4 + (5 + (6 + V[0] / 2) / 2) / 2)
    # Environment 1: cut at t = 2; row 3 holds its last observation, state 2.
    assert at(returns, 2, 1) == pytest.approx(9.0 + V[2] / 2)
    assert at(returns, 0, 1) == pytest.approx(7 + (8 + (9 + V[2] / 2) / 2) / 2)
    assert at(found.advantages, 0, 1) == pytest.approx(at(returns, 0, 1) - V[1])


def test_only_valid_steps_become_rows_in_order():
    found = appraised(row("n-distill+R"))
    assert len(found) == int(VALID.sum()) == 10
    assert found.observations.argmax(-1).tolist() == STATES[:-1][VALID].tolist()
    assert found.actions.tolist() == ACTIONS[VALID].tolist()
    log_policy = the_student().raw(torch.eye(3)).log_softmax(-1)
    expected = log_policy[STATES[:-1][VALID], ACTIONS[VALID]]
    torch.testing.assert_close(found.log_prob, expected.detach())
    for name in (f.name for f in fields(found)):
        column = getattr(found, name)
        assert len(column) == 10
        assert column.isfinite().all(), name
        assert not column.requires_grad, name


@pytest.mark.parametrize("name", ["baseline", "n-distill+R", "teacher-v-reward", "value-gated+R",
                                  "kl-regularised+R", "td-teacher-v"])  # fmt: skip
def test_what_a_phantom_step_holds_changes_nothing(name):
    """Its reward, action and label; its observation counts only as where a cut step led."""
    trajectory = the_round()
    actions, raw = trajectory.actions.clone(), trajectory.teacher_raw.clone()
    actions[~VALID], raw[2, 0] = 1 - actions[~VALID], 77.0
    seen = trajectory.observations.clone()
    seen[2, 0] = torch.tensor([0.0, 1.0, 0.0])
    other = the_round(actions=actions, teacher_raw=raw, observations=seen)
    one, two = appraised(row(name)), appraised(row(name), other)
    for name_ in (f.name for f in fields(one)):
        assert torch.equal(getattr(one, name_), getattr(two, name_)), name_


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused(reward):
    rewards = REWARDS.clone()
    rewards[4, 1] = reward
    with pytest.raises(NotFiniteError, match="rewards that are NaN or infinite"):
        appraised(row("baseline"), the_round(rewards=rewards))


@pytest.mark.parametrize(
    ("name", "settings", "num_columns", "reward_column"),
    [
        ("baseline", {}, 1, 0),
        ("baseline", {"value_distillation": 1.0}, 1, 0),
        ("value-gated", {}, 1, 0),
        ("value-gated+R", {}, 1, 0),
        ("n-distill", {}, 1, 1),
        ("n-distill", {"value_distillation": 1.0}, 2, 1),
        ("td-v0", {"value_distillation": 1.0}, 2, 1),
        ("teacher-v-reward", {}, 1, 1),
    ],
)
def test_columns_of_the_critic(name, settings, num_columns, reward_column):
    """One for R_hat, one for the return where it is compared; one serves both where they agree."""
    appraiser = Appraiser(the_teacher(), row(name, **settings))
    assert (appraiser.num_columns, appraiser.reward_column) == (num_columns, reward_column)
    assert appraised(row(name, **settings)).targets.shape == (10, num_columns)


def test_a_row_without_credit_and_gate_needs_no_critic():
    assert Appraiser(the_teacher(), get_method("on-policy-distill")).num_columns == 0


def test_two_columns_have_each_their_own_target():
    """R_hat beside the return: the second is that of the baseline, with its own values."""
    found = appraised(row("n-distill", value_distillation=1.0)).targets
    own = VALUES[:, 1]
    rewards_only = appraised(row("baseline"))
    gap = 0.5**3 * (own[0] - V[0])  # the data stop after three more steps, in state 0
    assert at(found[:, 1], 3, 0) == pytest.approx(at(rewards_only.targets[:, 0], 3, 0) + gap)
    alone = appraised(row("n-distill")).targets[:, 0]
    torch.testing.assert_close(found[:, 0], alone)


def test_the_gate_is_open_where_the_teacher_is_better():
    """V_pi 10, 20, 30 against the critic's first column 1, 2, 3, and its opposite."""
    assert appraised(row("value-gated")).weights.tolist() == [1.0] * 10
    appraiser = Appraiser(the_teacher(np.array([0.0, 2.0, 9.0])), row("value-gated"))
    views = appraiser._look(the_round(), (the_student(), torch.nn.Identity()))
    values = torch.tensor(V)[STATES][..., None]
    weights = appraiser._gate(replace(views, values=values))
    # Not where they are equal.
    assert torch.equal(weights, (STATES == 2).double())


def test_a_soft_gate_weighs_by_the_gap():
    """exp(alpha xi), at most LARGEST_GATE."""
    method = replace(row("value-gated"), gate=Gate(alpha=0.1))
    found = appraised(method)
    gaps = torch.tensor(TEACHER_VALUES - V)[STATES[:-1][VALID]]
    torch.testing.assert_close(found.weights, (0.1 * gaps).exp().clamp(max=LARGEST_GATE))
    assert found.weights.max() == LARGEST_GATE
    assert found.weights.min() < LARGEST_GATE


def test_later_losses_are_weighed_like_the_loss_itself():
    """lambda and the gate multiply l wherever it stands."""
    method = replace(row("n-distill"), gate=Gate(alpha=0.01))
    one, three = appraised(method), appraised(method, loss_weight=3.0)
    torch.testing.assert_close(three.credit, 3.0 * one.credit)
    plain = appraised(row("n-distill"))
    after = torch.tensor(TEACHER_VALUES - VALUES[:, 1])[STATES[1:][VALID]]
    torch.testing.assert_close(one.credit, plain.credit * (0.01 * after).exp())


def test_a_one_step_row_credits_its_own_step_alone():
    """A = r + gamma V_pi(s') - V_theta(s): nothing of the steps after it."""
    found = appraised(row("td-teacher-v"))
    assert at(found.advantages, 0, 0) == pytest.approx(1 + 0.5 * TEACHER_VALUES[1] - V[0])
    assert at(found.advantages, 1, 0) == pytest.approx(2 - V[1])  # it ended
    assert at(found.advantages, 2, 1) == pytest.approx(9 + 0.5 * TEACHER_VALUES[2] - V[0])
    assert at(appraised(row("td-v0")).targets[:, 0], 4, 1) == 11.0


def test_n_step_returns_take_the_place_of_gae():
    found = appraised(row("baseline", n_step=1))
    assert at(found.advantages, 3, 0) == pytest.approx(4 + 0.5 * V[1] - V[0])
    assert at(found.advantages, 1, 0) == pytest.approx(2 - V[1])


def test_lambda_is_that_of_gae():
    """lambda 0 is one step."""
    zero, one = appraised(row("baseline", lam=0.0)), appraised(row("baseline", n_step=1))
    torch.testing.assert_close(zero.advantages, one.advantages)


@pytest.mark.parametrize(
    ("own", "teachers", "used"),
    [(0.3, 0.7, 0.3), (None, 0.7, 0.7), (None, None, GAMMA), (0.0, 0.7, 0.0)],
)
def test_whose_discount_is_used(own, teachers, used):
    """The row's, else the teacher's, else the default."""
    teacher = the_teacher()
    teacher = replace(teacher, info=replace(teacher.info, gamma=teachers))
    assert Appraiser(teacher, row("baseline", gamma=own)).gamma == used


@pytest.mark.parametrize("name", ["baseline", "td-teacher-v", "teacher-v-reward", "value-gated+R"])
def test_the_unit_of_rewards_is_the_deviation_of_returns(name):
    """Rewards and V_pi a thousand times as large are appraised the same."""

    def appraise(scale: float, method: Method):
        appraiser = Appraiser(the_teacher(scale * TEACHER_VALUES), method)
        critic = torch.nn.Linear(3, appraiser.num_columns).double().requires_grad_(False)
        torch.nn.init.constant_(critic.weight, 0.5)
        torch.nn.init.zeros_(critic.bias)
        seen = torch.eye(3, dtype=torch.float64)[STATES]
        trajectory = the_round(
            rewards=scale * REWARDS, observations=seen[:-1], last_observations=seen[-1]
        )
        networks = (the_student(), critic)
        return appraiser.appraise(trajectory, alignment_of(method), networks, 1.0), appraiser

    method = row(name, scale_rewards=True)
    (small, first), (large, second) = appraise(1.0, method), appraise(1000.0, method)
    assert second.scale.value == pytest.approx(1000 * first.scale.value)
    torch.testing.assert_close(small.advantages, large.advantages)
    torch.testing.assert_close(small.teacher_values, large.teacher_values)
    torch.testing.assert_close(small.weights, large.weights)


def test_the_log_probabilities_of_the_teacher_are_asked_for_where_they_count():
    """kl-regularised: log pi(a) - log pi_theta(a), from the tables."""
    found = appraised(row("kl-regularised")).credit
    assert at(found, 0, 0) == pytest.approx(math.log(0.2 / 0.4))
    assert at(found, 1, 0) == pytest.approx(math.log(0.5 / 0.3))


@pytest.mark.parametrize(
    "name", [n for n, r in ROWS.items() if r.is_actor_critic and r.learner is None]
)
def test_every_row_appraises_a_round(name):
    found = appraised(row(name, value_distillation=0.5))
    assert all(getattr(found, f.name).isfinite().all() for f in fields(found))
    half = found.rows(torch.tensor([3, 1]))
    assert len(half) == 2
    assert torch.equal(half.advantages, found.advantages[[3, 1]])


def test_a_truncated_step_that_also_ended_counts_nothing_after():
    """Terminated wins."""
    both = flags((2, 1))
    found = appraised(row("td-teacher-v"), the_round(terminated=both, truncated=both,
                      valid=~flags((3, 1)), rewards=REWARDS.nan_to_num()))  # fmt: skip
    assert float(found.credit[5]) == 9.0
