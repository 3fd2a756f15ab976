from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_policies import always, num_asked
from gymnasium import spaces
from scipy import stats

from rldistill.core import Acting, CategoricalHead, DeterministicHead
from rldistill.methods.catalogue import ROWS
from rldistill.methods.method import STUDENT, TEACHER, UNIFORM, Control
from rldistill.methods.schedules import Constant, FirstRounds, Geometric
from rldistill.rollout.control import Controller, Randomness, uniform_actions

CPU = torch.device("cpu")
HEAD = CategoricalHead(3)
NUM_ENVS = 30_000
STATES = torch.zeros(NUM_ENVS, 4)
NO_STARTS = torch.zeros(len(STATES), dtype=torch.bool)
# Samples are made once with a fixed seed: a test either always passes or never.
SMALLEST_P = 1e-3


def controller(control: Control, seed: int = 0) -> Controller:
    """The teacher takes action 0, the student action 1 by mode and 1 or 2 by sampling."""
    return Controller(
        control,
        teacher=always([9.0, 0.0, 0.0], HEAD),
        student=always([-torch.inf, 0.5, 0.0], HEAD),
        teacher_act=Acting(),
        action_space=spaces.Discrete(3),
        randomness=Randomness.seeded(seed, CPU),
    )


def shares(control: Control, round_index: int = 0) -> list[int]:
    """How often each action was taken in NUM_ENVS states."""
    actions, _ = controller(control).act(STATES, NO_STARTS, round_index)
    assert actions.dtype == np.int64
    return np.bincount(actions, minlength=3).tolist()


def has_shares(found: list[int], expected: list[float]) -> bool:
    """Chi-square; an action that is never expected must never come."""
    kept = [i for i in range(3) if expected[i] > 0]
    if any(found[i] for i in range(3) if i not in kept):
        return False
    counts, wanted = [found[i] for i in kept], [NUM_ENVS * expected[i] for i in kept]
    return len(kept) == 1 or bool(stats.chisquare(counts, wanted).pvalue > SMALLEST_P)


def by_mode(share: float, epsilon: float = 0.0) -> Control:
    return Control(teacher_share=Constant(share), epsilon=epsilon, student_samples=False)


def test_the_teacher_alone_acts_under_its_control():
    assert shares(TEACHER) == [NUM_ENVS, 0, 0]


def test_the_student_acts_by_sampling_or_by_mode():
    likely = 1 / (1 + np.exp(-0.5))
    assert has_shares(shares(STUDENT), [0, likely, 1 - likely])
    assert shares(by_mode(0.0)) == [0, NUM_ENVS, 0]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.93])
def test_a_mixture_has_the_teachers_share(share):
    found = shares(by_mode(share))
    assert has_shares(found, [share, 1 - share, 0])
    assert not has_shares(found, [share + 0.02, 0.98 - share, 0])  # 0.02 more would be seen


def test_uniform_acts_uniformly():
    assert has_shares(shares(UNIFORM), [1 / 3] * 3)


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_epsilon_is_the_chance_of_a_uniform_action_whoever_acts(epsilon):
    """A uniform action is the policy's own in a third of the cases."""
    third = epsilon / 3
    for share in (1.0, 0.0, 0.4):
        expected = [share * (1 - epsilon) + third, (1 - share) * (1 - epsilon) + third, third]
        assert has_shares(shares(by_mode(share, epsilon)), expected)


def test_shares_follow_the_schedule_round_by_round():
    first = Control(teacher_share=FirstRounds(1), student_samples=False)
    assert shares(first, 0) == [NUM_ENVS, 0, 0]
    assert shares(first, 1) == [0, NUM_ENVS, 0]
    halving = Control(teacher_share=Geometric(0.5), student_samples=False)
    assert has_shares(shares(halving, 2), [0.25, 0.75, 0])


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_only_policies_that_may_act_are_asked(row):
    """A share of 0 asks the teacher nothing, a share of 1 the student."""
    for round_index in (0, 1, 40):
        share = row.control.teacher_share.at(round_index)
        actor = controller(row.control)
        _, raw = actor.act(STATES, NO_STARTS, round_index)
        assert num_asked(actor.teacher) == (NUM_ENVS if share > 0 else 0)
        assert num_asked(actor.student) == (NUM_ENVS if share < 1 else 0)
        assert (raw is None) == (share == 0)


def test_uniform_asks_nobody():
    actor = controller(UNIFORM)
    assert actor.act(STATES, NO_STARTS, 0)[1] is None
    assert num_asked(actor.teacher) == num_asked(actor.student) == 0


def test_the_raw_outputs_are_those_of_the_teacher_whoever_acted():
    _, raw = controller(by_mode(0.5, 0.3)).act(STATES[:5], NO_STARTS[:5], 0)
    assert torch.equal(raw, torch.tensor([[9.0, 0.0, 0.0]] * 5))


def test_the_teacher_acts_as_it_is_told():
    actor = controller(TEACHER)
    actor.teacher = always([0.0, 0.0, -torch.inf], HEAD)
    actor.teacher_act = Acting(mode=False)
    actions, _ = actor.act(STATES, NO_STARTS, 0)
    assert has_shares(np.bincount(actions, minlength=3).tolist(), [0.5, 0.5, 0])


def test_continuous_actions_are_chosen_whole():
    """Never one dimension from the teacher and the other from the student or from chance."""
    head = DeterministicHead((-9.0, -9.0), (9.0, 9.0))
    actor = replace(
        controller(by_mode(0.5, 0.2)),
        teacher=always([1.0, 1.0], head),
        student=always([2.0, 2.0], head),
        action_space=spaces.Box(np.float32([3, 3]), np.float32([4, 4])),
    )
    actions, _ = actor.act(STATES, NO_STARTS, 0)
    assert actions.dtype == np.float32
    assert actions.shape == (NUM_ENVS, 2)
    whose = np.floor(actions).astype(int)
    assert (whose[:, 0] == whose[:, 1]).all()
    counts = np.bincount(whose[:, 0], minlength=4)[1:4].tolist()
    assert has_shares(counts, [0.4, 0.4, 0.2])


def test_the_same_seed_acts_the_same_and_another_differently():
    control = Control(teacher_share=Constant(0.5), epsilon=0.3)
    first, same, other = (
        controller(control, seed).act(STATES, NO_STARTS, 0)[0] for seed in (1, 1, 2)
    )
    assert (first == same).all()
    assert (first != other).any()


def test_the_random_states_of_a_run_are_independent():
    """Drawing from one leaves the others where they were."""
    a, b = Randomness.seeded(0, CPU), Randomness.seeded(0, CPU)
    a.uniform.random(100)
    torch.rand(100, generator=a.control)
    assert torch.equal(torch.rand(5, generator=a.batches), torch.rand(5, generator=b.batches))
    assert not torch.equal(a.control.get_state(), b.control.get_state())
    assert Randomness.seeded(0, CPU).control.initial_seed() != b.batches.initial_seed()


def test_uniform_actions_fill_the_box_and_are_normal_where_it_is_infinite():
    low, high = [-1.0, 5.0, -np.inf, 0.0], [1.0, 7.0, np.inf, np.inf]
    space = spaces.Box(np.float32(low), np.float32(high))
    actions = uniform_actions(space, 5000, np.random.default_rng(0))
    assert actions.shape == (5000, 4)
    assert actions.dtype == np.float32
    for d, law in enumerate([("uniform", (-1, 2)), ("uniform", (5, 2)), ("norm",), ("norm",)]):
        assert stats.kstest(actions[:, d], *law).pvalue > SMALLEST_P


def test_whoever_the_learner_names_acts_in_the_students_place():
    """Asked anew at each step; the teacher's share is not touched."""
    chosen = [always([0.0, 0.0, 9.0], HEAD), always([9.0, 0.0, 0.0], HEAD)]
    own = controller(by_mode(0.0))
    own.acting = lambda: chosen.pop()
    assert set(own.act(STATES, NO_STARTS, 0)[0]) == {0}
    assert set(own.act(STATES, NO_STARTS, 0)[0]) == {2}
    assert not chosen
