"""Episodes are kept as they were: states, actions, and what followed each of them."""

import numpy as np
from fake_envs import SeedTells
from fake_policies import always

from rldistill.core import CategoricalHead
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.evaluation.scores import task_info
from rldistill.explain.played import Played, Recorder, actor_of, joined, stage

HEAD = CategoricalHead(3)
ALWAYS_TWO = always([0.0, 0.0, 1.0], HEAD)
SPEC = TaskSpec(factory=SeedTells)


def test_every_state_knows_the_return_that_followed() -> None:
    """Env i has 1 + i % 7 steps, step t worth t: 2 steps return 1 + 2, and 2 from the second."""
    with make(SPEC, 3, 0) as env:
        recorder = Recorder(env, 1)
        observations = recorder.reset(7)  # seeds 7, 8, 9: lengths 1, 2, 3
        actor = actor_of(ALWAYS_TWO, 0)
        for _ in range(3):
            observations = recorder.step(actor(observations, np.zeros(3, bool))).observations
        played = recorder.played()
    assert played.returns.tolist() == [1.0, 3.0, 6.0]
    found = sorted(zip(played.episode.tolist(), played.returns_to_go.tolist(), strict=True))
    assert found == [(0, 1.0), (1, 2.0), (1, 3.0), (2, 3.0), (2, 5.0), (2, 6.0)]
    assert set(played.actions.tolist()) == {2}
    assert played.observations[:, 0].tolist() == [0, 1, 2, 1, 2, 2]  # seed % 7, in rows of time
    assert not (played.observations[:, 2] > 0).any()  # never a second episode


def test_a_stage_plays_the_same_episodes_for_everybody_and_strides_keep_all_rewards() -> None:
    info = task_info(SPEC)
    with stage(SPEC, info, (10, 4), 0) as where:
        assert len(where.seeds) == 3
        first, again = where.play(ALWAYS_TWO), where.play(ALWAYS_TWO, 2)
        returns = where.returns([actor_of(ALWAYS_TWO, seed) for seed in where.seeds])
    assert first.num_episodes == 12
    assert np.array_equal(first.returns, again.returns)
    assert np.array_equal(first.returns, returns)
    assert len(again.episode) < len(first.episode)
    assert set(again.observations[:, 1].tolist()) <= {0, 2, 4, 6}
    start = first.observations[:, 1] == 0
    assert np.array_equal(first.returns_to_go[start], first.returns[first.episode[start]])


def test_joined_counts_episodes_on() -> None:
    part = Played(np.zeros((2, 1)), np.zeros(2), np.zeros(2), np.array([0, 1]), np.zeros(2))
    assert joined([part, part]).episode.tolist() == [0, 1, 2, 3]
    assert part.rows(np.array([1])).episode.tolist() == [1]
