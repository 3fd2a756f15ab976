"""A surrogate is fitted to some episodes and measured on others."""

from typing import Any

import numpy as np
import pytest
from small_trees import discrete

from rldistill.errors import SettingError
from rldistill.explain.actions import acts
from rldistill.explain.played import Played
from rldistill.explain.surrogate import HELD_OUT, fit_surrogate

POLICY = discrete(5, 6)


class Stage:
    """Stands for the place where a surrogate plays: whoever plays earns 7."""

    def play(self, policy: Any) -> Any:
        self.who = policy
        return Played(*[np.zeros(0)] * 4, np.full(8, 7.0))


def played(episodes: int, narrow: float = 1.0) -> Played:
    """40 states each; those of the episodes that are fitted lie nearer to 0 where it is narrow."""
    n = 40 * episodes
    episode = np.repeat(np.arange(episodes), 40)
    x = np.random.default_rng(0).uniform(-1, 1, (n, 3)).astype(np.float32)
    x[episode % HELD_OUT != min(HELD_OUT, episodes) - 1] *= np.float32(narrow)
    return Played(x, acts(POLICY, x), np.zeros(n), episode, np.zeros(episodes))


def fit(seen: Played, leaves: int = 64) -> Any:
    stage: Any = Stage()
    return fit_surrogate(POLICY, seen, leaves, stage)


def test_a_tree_is_found_again() -> None:
    """With leaves enough it does nearly everywhere what the policy, a tree itself, does."""
    found = fit(played(16))
    assert found.fitted == 12 * 40
    assert found.fidelity.value > 0.95
    assert found.returns.value == 7.0
    assert found.tree.num_leaves <= 64
    assert fit(played(16), leaves=2).tree.num_leaves == 2


def test_fidelity_is_that_of_episodes_it_was_not_fitted_to() -> None:
    """What it was not shown it cannot know, and fidelity says so."""
    wide, narrow = fit(played(16)), fit(played(16, narrow=0.01))
    assert narrow.fidelity.value < wide.fidelity.value - 0.1


def test_two_episodes_are_the_least() -> None:
    assert fit(played(2)).fitted == 40
    with pytest.raises(SettingError, match="at least 2"):
        fit(played(1))
