"""Which states are told of, and that boards change by whole cells."""

from typing import Any

import numpy as np
import torch
from small_trees import discrete
from torch import nn

from rldistill.core import CategoricalHead, NetworkPolicy, PolicyInfo
from rldistill.explain.actions import acts
from rldistill.explain.changes import EXACT_STATES, changes_of
from rldistill.explain.played import Played

SPACE = np.zeros(4, np.float32), np.ones(4, np.float32)


def played_by(policy: NetworkPolicy, states: np.ndarray) -> Played:
    n = len(states)
    return Played(states, acts(policy, states), np.zeros(n), np.zeros(n, np.int64), np.zeros(1))


class Cells(nn.Module):
    """Action 1 where at least two of the first three cells are there; the fourth is noise."""

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        much = observations[:, :3].sum(1) + 0.01 * observations[:, 3] - 1.5
        return torch.stack([-much, much], 1)


def cells() -> NetworkPolicy:
    info = PolicyInfo(name="x", framework="tests", observation_shape=(4,), head=CategoricalHead(2),
                      acting_parameters=0, parameters=0)  # fmt: skip
    return NetworkPolicy(Cells(), info)


def boards(count: int) -> Any:
    return np.random.default_rng(0).integers(0, 2, (count, 4)).astype(np.float32)


def test_boards_change_by_whole_cells_and_by_as_few_as_possible() -> None:
    """Of three cells that are alike one flip is enough where two are; none of none needs two."""
    policy, states = cells(), boards(300)
    found = changes_of(policy, None, played_by(policy, states), SPACE)
    assert found.examples
    for one in found.examples:
        assert set(np.unique(one.changed)) <= {0.0, 1.0}
        flipped = one.changed != one.observation
        needed = 1 if one.observation[:3].sum() in (1, 2) else 2
        assert (flipped[:3].sum(), flipped[3]) == (needed, 0)
        assert one.action != one.new_action


def test_numbers_between_are_changed_by_parts() -> None:
    """The same policy off the board: the nearest change is no whole cell away."""
    policy = cells()
    states = np.random.default_rng(0).uniform(0, 1, (300, 4)).astype(np.float32)
    found = changes_of(policy, None, played_by(policy, states), SPACE)
    assert any(0 < abs(c.changed - c.observation)[:3].max() < 0.5 for c in found.examples)


def test_a_tree_is_looked_at_in_more_states_and_exactly() -> None:
    policy = discrete(3, 8)
    states = np.random.default_rng(0).uniform(-1, 1, (2 * EXACT_STATES, 3)).astype(np.float32)
    bounds = np.full(3, -1.0, np.float32), np.full(3, 1.0, np.float32)
    found = changes_of(policy, policy.module.tree, played_by(policy, states), bounds)
    assert (found.exact, found.states) == (True, EXACT_STATES)
    assert list(found.quantiles) == sorted(found.quantiles)
    kinds = {int(one.action) for one in found.examples}
    assert kinds == set(np.unique(acts(policy, states)).tolist())
