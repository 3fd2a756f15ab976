from itertools import pairwise

import numpy as np
import pytest
import torch
from fake_envs import BoxedFives, Fives, SeedTells
from fake_policies import always, policy
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st
from small_runs import Follow

from rldistill.core import Acting, CategoricalHead, DeterministicHead
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import NotFiniteError, SettingError
from rldistill.evaluation.scores import (
    SEED_SPACE,
    Arena,
    count_envs,
    play_round,
    policy_actor,
    random_actor,
    require_acting,
    task_info,
    training_seed,
)

CPU = torch.device("cpu")
NUM_ENVS = 14
RANDOM = random_actor(spaces.Discrete(3), 0)
NO_STARTS = np.zeros(300, bool)
LARGEST_SEED = 2**31 - 1
seeds = st.integers(0, 2**63 - 1)


def arena(env=SeedTells, num_envs: int = NUM_ENVS, seed: int = 0) -> Arena:
    task = TaskSpec(factory=env)
    return Arena(task, task_info(task), num_envs, seed)


@pytest.mark.parametrize("seed", [0, 3, 10_000])
def test_returns_are_exactly_those_of_each_environments_first_episode(seed):
    """Lengths 1 to 7, worth 1 + ... + n; any later episode would add 1000."""
    lengths = 1 + (seed + np.arange(NUM_ENVS)) % 7
    with make(TaskSpec(factory=SeedTells), NUM_ENVS, seed) as env:
        got = play_round(env, RANDOM, seed)
    assert got.lengths.tolist() == lengths.tolist()
    assert got.returns.tolist() == (lengths * (lengths + 1) / 2).tolist()


def test_short_episodes_are_not_over_represented():
    """Each environment counts once, however often it could have finished: the mean length is 4."""
    with arena() as this:
        rounds = [this.play(RANDOM, this.next_seed()) for _ in range(5)]
    lengths = np.concatenate([r.lengths for r in rounds])
    assert np.bincount(lengths, minlength=8).tolist() == [0] + [10] * 7


def test_the_states_kept_are_those_of_the_first_episodes():
    """Numbers seen: [seed % 7, t, episode, last action]."""
    with make(TaskSpec(factory=SeedTells), NUM_ENVS, 0) as env:
        got = play_round(env, RANDOM, 0, keep_observations=True)
        assert play_round(env, RANDOM, 0).observations.shape == (0, 4)
    assert len(got.observations) == got.lengths.sum()
    assert set(got.observations[:, 2].tolist()) == {0.0}
    found = sorted(zip(*got.observations[:, :2].T.tolist(), strict=True))
    assert found == sorted((s, t) for s in range(7) for t in range(s + 1) for _ in range(2))


def test_a_second_round_starts_anew_with_its_own_seed():
    """Whatever was left over from the first."""
    with make(TaskSpec(factory=SeedTells), NUM_ENVS, 0) as env:
        play_round(env, RANDOM, 0)
        got = play_round(env, RANDOM, 3)
        again = play_round(env, RANDOM, 3)
    assert got.lengths.tolist() == (1 + (3 + np.arange(NUM_ENVS)) % 7).tolist()
    assert got.returns.tolist() == again.returns.tolist()


def test_an_action_that_is_nan_is_refused():
    broken = always([np.nan, 0.0], DeterministicHead((-1.0, -2.0), (1.0, 2.0)))
    with (
        make(TaskSpec(factory=BoxedFives), 2, 0) as env,
        pytest.raises(NotFiniteError, match="the policy gave an action that is NaN or infinite"),
    ):
        play_round(env, policy_actor(broken, Acting(), CPU, 0), 0)


def test_a_policy_actor_acts_by_mode_or_by_sampling():
    even = policy(lambda x: torch.zeros(len(x), 3), CategoricalHead(3))
    states = np.zeros((300, 4), np.float32)
    assert set(policy_actor(even, Acting(), CPU, 0)(states, NO_STARTS)) == {0}
    sampling = [
        policy_actor(even, Acting(mode=False), CPU, seed)(states, NO_STARTS) for seed in (0, 0, 1)
    ]
    assert set(sampling[0]) == {0, 1, 2}
    assert (sampling[0] == sampling[1]).all()
    assert (sampling[0] != sampling[2]).any()


def test_the_random_actor_is_uniform_and_follows_its_seed():
    states = np.zeros((3000, 4), np.float32)
    first, same = (random_actor(spaces.Discrete(3), 5)(states, NO_STARTS) for _ in range(2))
    assert (first == same).all()
    assert np.bincount(first).min() > 900  # 1000 each, standard deviation 26


@given(seeds, st.integers(1, 65_536), st.integers(1, 50))
def test_seeds_never_repeat_and_never_meet_those_of_training(seed, num_envs, num_rounds):
    """Every round has num_envs fresh ones, in the range that every backend takes."""
    this = Arena(TaskSpec(id="X-v0"), None, num_envs, seed)
    starts = [this.next_seed() for _ in range(num_rounds)]
    assert this.rounds_played == num_rounds
    assert all(b - a >= num_envs for a, b in pairwise(starts))
    assert starts[0] >= 0
    assert starts[-1] + num_envs <= SEED_SPACE
    for round_index in (0, 1, 10**6):
        first = training_seed(seed, round_index)
        assert first >= SEED_SPACE
        assert first + 65_536 <= LARGEST_SEED


def test_a_resumed_arena_goes_on_after_the_seeds_that_were_used():
    whole, resumed = arena(), arena()
    used = [whole.next_seed() for _ in range(3)]
    resumed.rounds_played = 3
    assert resumed.next_seed() == whole.next_seed()
    assert resumed.next_seed() not in used


def test_the_last_seeds_are_not_followed_by_used_ones():
    """After half a billion episodes."""
    this = arena(num_envs=65_536)
    this.rounds_played = SEED_SPACE // 65_536
    with pytest.raises(SettingError, match="evaluation seeds are used up"):
        this.next_seed()


def test_runs_of_different_seeds_are_tested_and_trained_on_different_seeds():
    assert len({arena(seed=s).next_seed() for s in range(50)}) == 50
    assert len({training_seed(s) for s in range(50)}) == 50


def test_an_arena_closes_its_environments_and_can_be_used_again():
    with arena(Fives, 2) as this:
        this.play(RANDOM, this.next_seed())
        assert len(this.envs) == 1
    assert not this.envs
    assert this.play(RANDOM, this.next_seed()).lengths.tolist() == [5, 5]
    with this:
        pass


def test_task_info_says_what_the_environment_shows():
    info = task_info(TaskSpec(factory=BoxedFives))
    assert info.observation_space.shape == (4,)
    assert info.action_space.shape == (2,)


def test_environments_are_counted():
    assert count_envs(TaskSpec(factory=Follow), None, 16) == 16
    assert count_envs(TaskSpec(factory=Follow), 3, 16) == 3
    live = TaskSpec(vector_env=SyncVectorEnv([Follow] * 4))
    assert count_envs(live, None, 16) == count_envs(live, 4, 16) == 4
    with pytest.raises(SettingError, match="num_envs is 5; the vector environment given has 4"):
        count_envs(live, 5, 16)


def test_sampling_from_a_policy_without_a_distribution_is_refused():
    """It would change nothing; by mode it is fine, and any distribution may be sampled."""
    single = always([0.0], DeterministicHead((-1.0,), (1.0,)))
    require_acting(single, Acting(mode=True), "teacher_act")
    require_acting(always([0.0, 0.0], CategoricalHead(2)), Acting(mode=False), "teacher_act")
    with pytest.raises(SettingError, match="teacher_act 'sample' has no effect: "):
        require_acting(single, Acting(mode=False), "teacher_act")
