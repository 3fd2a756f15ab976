"""The sampled update of every row of Table 1, averaged, is the one that the lab computes exactly.

Source: Czarnecki et al. 2019 (arXiv:1902.02186), equation 1 and table 1. The two are written
independently: the lab by linear solves in numpy, the learners by autograd on trajectories. A
tabular softmax student plays whole episodes, a learner takes one step on each batch of them, and
the gradients it left are compared with the exact update: one test per row, Bonferroni over rows.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tabular
import torch
from tabular import Episodes, Sampler, batches, expected, p_value, plain

from rldistill.lab.exact import Problem, gate
from rldistill.lab.rows import ROWS, get_row
from rldistill.lab.worlds import WorldSettings, make_world
from rldistill.methods.credit import Credit
from rldistill.train import experience
from rldistill.train.experience import Appraiser

# With one unclipped on-policy step and lambda = 1 these are the same update. PPD multiplies its
# loss by the ratio, but E[grad log pi_theta(a | s) KL(s)] = 0: the loss does not depend on a.
NEIGHBOURS = {
    "kickstarting": "on-policy-distill+R",
    "kickstarting-constant": "on-policy-distill+R",
    "kickstarting-geometric": "on-policy-distill+R",
    "kickstarting-performance": "on-policy-distill+R",
    "ppd": "on-policy-distill+R",
}
NAMES = [*ROWS, *NEIGHBOURS]
# A right row fails once in a hundred seeds of the whole family; a wrong one must fail at once.
LEVEL = 0.01 / len(NAMES)
CAUGHT = 1e-6
# Discounted credit is the lab's world that ends with chance 1 - gamma.
GAMMA = 0.8
Shape = tuple[int, int]
FAST: Shape = (60, 300)
LARGE: Shape = (400, 1000)


@cache
def problem_of(world: str, size: int, seed: int) -> Problem:
    return make_world(world, WorldSettings(seed=seed, size=size))


@cache
def theta_of(problem: Problem) -> np.ndarray:
    return np.random.default_rng(0).normal(size=problem.student.num_parameters)


@cache
def played(problem: Problem, teacher_acts: bool, shape: Shape) -> list[Episodes]:
    """The same episodes for every row: Bonferroni does not ask for independence."""
    policy = problem.teacher if teacher_acts else problem.student.policy(theta_of(problem))
    return list(batches(problem, policy, shape, seed=int(teacher_acts)))


def updates(sampler: Sampler, shape: Shape = FAST) -> np.ndarray:
    """[N, P], one per batch."""
    teacher_acts = sampler.row.control.teacher_share.at(0) == 1.0
    episodes = played(sampler.problem, teacher_acts, shape)
    return np.array([-sampler.gradient(batch) for batch in episodes])


def p_of(name: str, problem: Problem, gamma: float = 1.0, shape: Shape = FAST) -> float:
    theta = theta_of(problem)
    sampler = Sampler(problem, theta, plain(name, gamma))
    return p_value(
        updates(sampler, shape), expected(NEIGHBOURS.get(name, name), problem, theta, gamma)
    )


SMALL = ("random", 3, 3)


def test_the_world_tells_rows_apart():
    """The gate is open in some states, and no two updates of different rows agree."""
    problem = problem_of(*SMALL)
    theta = theta_of(problem)
    is_open = gate(get_row("value-gated"), problem, problem.student.policy(theta))
    assert 0 < is_open.sum() < problem.mdp.num_states
    exact = {name: expected(name, problem, theta) for name in ROWS}
    # Equal in expectation, as the paper says.
    same = {
        frozenset({"entropy-regularised", "exp-entropy-regularised"}),
        frozenset({"entropy-regularised+R", "exp-entropy-regularised+R"}),
        frozenset({"baseline", "teacher-v-reward"}),
    }
    for first in ROWS:
        for second in ROWS:
            if first != second and frozenset({first, second}) not in same:
                assert np.abs(exact[first] - exact[second]).max() > 0.01, (first, second)


@pytest.mark.parametrize("name", NAMES)
def test_the_sampled_update_averaged_is_the_exact_one(name):
    """Three states, three actions, random ends, starts and moves."""
    assert p_of(name, problem_of(*SMALL)) > LEVEL


@pytest.mark.parametrize(
    "name", ["n-distill+R", "teacher-v-reward", "td-teacher-v", "value-gated+R"]
)
def test_a_discount_counts_in_credit_values_and_gate(name):
    """Everything that comes i steps later counts gamma^i; visits are not discounted."""
    assert p_of(name, problem_of(*SMALL), GAMMA) > LEVEL


@pytest.mark.slow
@pytest.mark.parametrize(("world", "size", "gamma"), [("chain", 4, 1.0), ("random", 5, GAMMA)])
@pytest.mark.parametrize("name", NAMES)
def test_the_sampled_update_averaged_is_the_exact_one_in_other_worlds(name, world, size, gamma):
    """400,000 episodes each: a chain, and five states with a discount."""
    if gamma != 1.0 and not plain(name).is_actor_critic:
        pytest.skip("credits nothing: there is nothing to discount")
    assert p_of(name, problem_of(world, size, 1), gamma, LARGE) > LEVEL / 2


Wrong = Callable[..., torch.Tensor]


def credited(change: Callable[..., Wrong]) -> Callable[[pytest.MonkeyPatch], None]:
    """Plants a change of step_credit."""
    right = experience.step_credit
    return lambda patch: patch.setattr(experience, "step_credit", change(right))


def seen(change: Callable[[object], object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Plants a change of what the networks say."""
    right = Appraiser._look
    return lambda patch: patch.setattr(Appraiser, "_look", lambda *args: change(right(*args)))


def as_printed(patch: pytest.MonkeyPatch) -> None:
    """r + V_pi(s') - V_theta(s) does not telescope."""
    looks: list[object] = []
    look, right = Appraiser._look, experience.step_credit

    def remember(*args):
        looks.append(look(*args))
        return looks[-1]

    def wrong(credit, terms, gamma):
        gap = terms.teacher_values[:-1] - looks[-1].values[:-1, :, 0]
        return right(credit, terms, gamma) + gap

    patch.setattr(Appraiser, "_look", remember)
    patch.setattr(experience, "step_credit", wrong)


FAULTS = {
    "an action is not credited with its own reward": (
        "baseline", 1.0,
        credited(lambda right: lambda credit, terms, gamma: right(
            credit, replace(terms, rewards=torch.cat([terms.rewards[1:], 0 * terms.rewards[:1]])),
            gamma)),
    ),
    "V_theta in the place of V_pi": (
        "td-teacher-v", 1.0,
        seen(lambda views: replace(views, teacher_values=views.values[..., 0])),
    ),
    "the second value of the shaping is V_theta, as the table prints": (
        "teacher-v-reward", 1.0, as_printed,
    ),
    "what follows a terminated step counts": (
        "td-teacher-v", 1.0,
        credited(lambda right: lambda credit, terms, gamma: right(
            credit, replace(terms, terminated=terms.terminated & False), gamma)),
    ),
    "the loss in the state after the end counts": (  # once per episode: noticed if discounted
        "n-distill", 0.5,
        credited(lambda right: lambda credit, terms, gamma: right(
            credit, replace(terms, terminated=terms.terminated & False), gamma)),
    ),
    "the values after a step are not discounted": (
        "td-teacher-v", GAMMA,
        credited(lambda right: lambda credit, terms, gamma: right(credit, terms, 1.0)),
    ),
    "the losses after a step are not discounted": (
        "n-distill", 0.5,
        credited(lambda right: lambda credit, terms, gamma: right(credit, terms, 1.0)),
    ),
    "the student's log-probability has the wrong sign": (
        "kl-regularised", 1.0,
        credited(lambda right: lambda credit, terms, gamma: right(
            credit, replace(terms, log_student=-terms.log_student), gamma)),
    ),
    "later losses are rewards": (
        "n-distill", 1.0,
        credited(lambda right: lambda credit, terms, gamma: -right(credit, terms, gamma)),
    ),
    "the gate is turned round": (
        "value-gated", 1.0,
        seen(lambda views: replace(views, teacher_values=views.values[..., 0],
                                   values=views.teacher_values[..., None])),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "gamma", "plant"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_noticed(name, gamma, plant, monkeypatch):
    plant(monkeypatch)
    assert p_of(name, problem_of(*SMALL), gamma) < CAUGHT


def test_crediting_the_action_with_its_own_log_probability_beside_the_loss_is_noticed():
    """The index shift of table 1: l(s_t) in closed form already holds log pi(a_t | s_t).

    Crediting l(s_t) itself would not show: it is the same for every action, a baseline.
    """
    problem, name = problem_of(*SMALL), "exp-entropy-regularised"
    row = replace(plain(name), credit=Credit(next_loss=1.0, log_teacher=1.0))
    sampler = Sampler(problem, theta_of(problem), row)
    assert p_value(updates(sampler), expected(name, problem, theta_of(problem))) < CAUGHT


@pytest.mark.parametrize(
    ("taken", "asked"),
    [
        ("on-policy-distill", "n-distill"),
        ("n-distill", "on-policy-distill"),
        ("on-policy-distill", "value-gated"),
        ("on-policy-distill", "teacher-distill"),
        ("td-v0", "baseline"),
        ("entropy-regularised", "kl-regularised"),
        ("kickstarting", "on-policy-distill"),
    ],
)
def test_a_row_taken_for_another_is_noticed(taken, asked):
    """Later losses, the gate, the visits, later rewards, the student's entropy, the reward."""
    problem = problem_of(*SMALL)
    theta = theta_of(problem)
    drawn = updates(Sampler(problem, theta, plain(taken)))
    assert p_value(drawn, expected(asked, problem, theta)) < CAUGHT


def test_a_lambda_below_1_is_noticed_where_the_critic_is_wrong():
    """V of the return is no critic of the teacher's log-probabilities: lambda 0.5 is biased."""
    problem, name = problem_of(*SMALL), "entropy-regularised"
    sampler = Sampler(problem, theta_of(problem), plain(name, lam=0.5))
    assert p_value(updates(sampler), expected(name, problem, theta_of(problem))) < CAUGHT


def test_the_statistic_has_its_level():
    """Of 2,000 right means, 5 % are refused at 5 %; free directions do not count."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3, 5))  # rank 3 in five dimensions
    values = [p_value(rng.normal(size=(60, 3)) @ mix, np.zeros(5)) for _ in range(2000)]
    assert 0.035 < np.mean(np.array(values) < 0.05) < 0.065
    assert p_value(rng.normal(size=(60, 3)) @ mix, np.linalg.svd(mix)[2][-1]) == 0.0


def test_episodes_are_whole_and_visit_states_as_often_as_the_lab_says():
    """5 standard errors of the mean visits per episode."""
    problem = problem_of(*SMALL)
    policy = problem.student.policy(theta_of(problem))
    episodes = tabular.play(problem, policy, 20_000, np.random.default_rng(5))
    assert (episodes.terminated.sum(0) == 1).all()
    assert not episodes.valid[1:][episodes.terminated[:-1]].any()
    counts = np.eye(3)[episodes.states[:-1]] * episodes.valid[..., None]
    per_episode = counts.sum(0)
    exact = tabular.visits(problem.mdp, policy)
    error = per_episode.std(0) / np.sqrt(len(per_episode))
    assert (np.abs(per_episode.mean(0) - exact) < 5 * error).all()
