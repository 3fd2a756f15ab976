"""Importance is return lost: by twins of the same episodes."""

import gymnasium
import numpy as np
import pytest
from fake_policies import policy as by_function
from gymnasium import spaces

from rldistill.core import CategoricalHead
from rldistill.envs.naming import task_names
from rldistill.envs.spec import TaskSpec
from rldistill.evaluation.scores import task_info
from rldistill.explain.importance import Importance, importances, units_of
from rldistill.explain.played import stage


class Sighted(gymnasium.Env):
    """Rewards the action that feature 0 names; feature 1 is noise of the same kind.

    What a right action is worth differs from episode to episode, 1 on average.
    """

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def _observe(self):
        self.seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.seen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.worth = 0, self.np_random.uniform(0.5, 1.5)
        return self._observe(), {}

    def step(self, action):
        reward = self.worth * float((self.seen[0] > 0) == bool(action))
        self.t += 1
        return self._observe(), reward, self.t >= 10, False, {}


@pytest.fixture(scope="module")
def found() -> dict[str, Importance]:
    """Importance of both features for a policy that looks at the first alone."""
    looks = by_function(lambda x: x[:, :1] * x.new_tensor([0.0, 1.0]), CategoricalHead(2), 2)
    spec = TaskSpec(factory=Sighted)
    info = task_info(spec)
    units = units_of(task_names(spec, info))
    with stage(spec, info, (64, 32), 0) as where:
        played = where.play(looks)
        named = importances(looks, played, where, units, (None, 5))
        limited = importances(looks, played, where, units, (frozenset({0}), 5))
        none = importances(looks, played, where, units, (None, 0))
    return {
        **{one.name: one for one in named},
        **{f"limited {one.name}": one for one in limited},
        **{f"none {one.name}": one for one in none},
    }


def test_a_feature_that_is_not_used_loses_exactly_nothing(found: dict[str, Importance]) -> None:
    """It was played shuffled: every episode returned the same as its twin."""
    lost = found["feature 1"].return_lost
    assert lost is not None
    assert (lost.value, lost.low, lost.high) == (0.0, 0.0, 0.0)
    assert found["feature 1"].actions_changed == 0.0
    assert not found["feature 1"].unused


def test_a_feature_that_is_used_loses_what_chance_does(found: dict[str, Importance]) -> None:
    """10 of 10 become 5 of 10."""
    lost = found["feature 0"].return_lost
    assert lost is not None
    assert lost.low is not None
    assert lost.high is not None
    assert lost.low < 5.0 < lost.high
    assert lost.high - lost.low < 2.0
    assert 0.4 < found["feature 0"].actions_changed < 0.6


def test_what_a_tree_never_asks_for_is_not_played(found: dict[str, Importance]) -> None:
    assert found["limited feature 1"].unused
    assert found["limited feature 1"].return_lost is not None
    assert found["limited feature 1"].return_lost.value == 0.0
    assert not found["limited feature 0"].unused


def test_what_is_beyond_the_limit_is_said_not_to_be_played(found: dict[str, Importance]) -> None:
    assert found["none feature 0"].return_lost is None
    assert found["none feature 0"].to_json()["return_lost"] is None
    assert found["none feature 0"].actions_changed > 0.4
