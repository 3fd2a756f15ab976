"""Evaluation of policies that remember: the counting policy knows the step without seeing it."""

import numpy as np
import pytest
import torch
from fake_envs import Fives, SeedTells
from fake_policies import always, policy
from recurrent_policies import HEAD, counting, small_rnn

from rldistill.core import Acting
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import TaskError
from rldistill.evaluation.agreement import Order, agreement, compare, outputs_of
from rldistill.evaluation.evaluate import EvaluationSettings, evaluate
from rldistill.evaluation.expert_starts import play_whole
from rldistill.evaluation.exported import record_observations
from rldistill.evaluation.halving import halve
from rldistill.evaluation.scores import Arena, play_round, policy_actor, task_info

CPU = torch.device("cpu")
SPEC = TaskSpec(factory=SeedTells)
# What the counting policy does, by one that sees the step.
SEES = policy(lambda x: torch.nn.functional.one_hot(x[:, 1].long() % 3, 3).float(), HEAD)


def test_an_actor_remembers_within_episodes_and_not_over_their_ends():
    """Seeds 0 to 6 last 1 to 7 steps; environments that have ended rest."""
    with make(SPEC, 7, 0) as env:
        for seed in (0, 3):
            got = play_round(env, policy_actor(counting(), Acting(), CPU, 0), seed, True)
            acted = got.observations[got.steps > 0]
            assert len(acted) > 0
            # The last action is seen in the next state: that of the step before.
            assert (acted[:, 3] == (acted[:, 1] - 1) % 3).all()
    again = policy_actor(counting(), Acting(), CPU, 0)
    with make(TaskSpec(factory=Fives), 2, 0) as env:
        first, second = (play_round(env, again, 0, True).observations for _ in range(2))
    assert np.array_equal(first, second)  # one actor, two rounds: the second begins anew


def test_outputs_in_order_are_those_of_whole_episodes_side_by_side():
    order = Order(np.array([1, 0, 1, 0, 1, 2]), np.array([0, 0, 1, 1, 2, 0]))
    seen, one = torch.randn(6, 4), small_rnn()
    got = outputs_of(one, seen, order)
    for rows in ([1, 3], [0, 2, 4], [5]):
        alone, _ = one.unroll(
            seen[rows][:, None], one.initial_state(1), torch.zeros(len(rows), 1, dtype=torch.bool)
        )
        assert torch.allclose(got[rows], alone[:, 0], atol=1e-6)


@pytest.mark.parametrize("sides", [(SEES, counting()), (counting(), SEES), (counting(),) * 2])
def test_agreement_over_whole_episodes_is_that_of_what_was_done(sides):
    with make(SPEC, 7, 0) as env:
        got = play_round(env, policy_actor(counting(), Acting(), CPU, 0), 0, True)
    found = compare(*sides, *got.seen(), got.order)
    assert found.summary().top_action == 1.0
    assert len(found.same) == 28
    wrong = always([0.0, 5.0, 0.0], HEAD)
    share = np.mean(got.steps % 3 == 1)
    assert agreement(wrong, counting(), *got.seen(), got.order).top_action == pytest.approx(share)


def test_without_an_order_there_is_no_agreement():
    with pytest.raises(TaskError, match="fake is recurrent"):
        agreement(SEES, counting(), torch.zeros(3, 4))


def test_evaluate_plays_and_compares_recurrent_policies():
    """Five steps a game whatever is done; the teacher sees what the student counts."""
    settings = EvaluationSettings(episodes=8, num_envs=8)
    found = evaluate(counting(), TaskSpec(factory=Fives), against=SEES, settings=settings)
    assert found["student_return"] == 5.0
    assert found["agreement"] == 1.0
    assert found["student_latency_seconds"] > 0


def test_students_that_share_environments_keep_their_memories_apart():
    """Those that count do as well as themselves alone."""
    task = TaskSpec(factory=Fives)
    arena = Arena(task, task_info(task), 16, 0)
    done: dict[int, set[int]] = {}

    def actor_of(student, seed):
        inner, found = (
            policy_actor(student, Acting(), CPU, seed),
            done.setdefault(id(student), set()),
        )

        def actor(observations, starts):
            actions = inner(observations, starts)
            running = observations[:, 2] == 0
            found.update((actions - observations[:, 1] % 3)[running].tolist())
            return actions

        return actor

    with arena:
        halve(arena, [counting(), counting()], actor_of)
    assert all(found == {0} for found in done.values())


def test_starts_and_recorded_observations_are_of_a_policy_that_remembers():
    spec = TaskSpec(factory=Fives)
    with make(spec, 2, 0) as env:
        starts = play_whole(env, policy_actor(counting(), Acting(), CPU, 0), 0)
    assert [start.actions.tolist() for start in starts] == [[0, 1, 2, 0, 1]] * 2
    seen = record_observations(counting(), spec, 40, 0)
    acted = seen[seen[:, 1] > 0]
    assert (acted[:, 3] == (acted[:, 1] - 1) % 3).all()
