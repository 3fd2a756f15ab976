"""What is counted of each leaf, against counting by hand."""

import numpy as np
import pytest
from small_trees import discrete

from rldistill.envs.naming import Feature, TaskNames
from rldistill.explain.played import Played
from rldistill.explain.regions import estimate_json, overall, regions_of
from rldistill.explain.rules import rules_of
from rldistill.maths.stats import Estimate

NAMES = TaskNames(tuple(Feature(n, "") for n in "abc"), ("x", "y", "z"))
POLICY = discrete(1, 3)
TREE = POLICY.module.tree
SEEN = np.zeros((6, 3), np.float32)
# Two episodes, of four and of two states.
EPISODE = np.array([0, 0, 0, 0, 1, 1])
PLAYED = Played(SEEN, np.zeros(6, np.int64), np.array([4.0, 3, 2, 1, 20, 10]), EPISODE, np.zeros(2))


def regions(leaves: list[int], same: list[float] | None) -> tuple:
    rules = rules_of(TREE, POLICY.info.head, NAMES, SEEN)
    merged = {rule.leaf: (rule.leaf,) for rule in rules}
    told = None if same is None else np.array(same)
    return regions_of(rules, merged, np.array(leaves), PLAYED, told)


def places() -> list[int]:
    return [rule.leaf for rule in rules_of(TREE, POLICY.info.head, NAMES, SEEN)]


def test_use_return_and_fidelity_by_hand() -> None:
    """Shares and means are over states, however they are spread over episodes."""
    a, b, _ = places()
    one, two, three = regions([a, a, b, a, b, b], [1, 0, 1, 1, 0, 0])
    assert (one.number, two.number, three.number) == (1, 2, 3)
    assert (one.visits, two.visits, three.visits) == (3, 3, 0)
    assert one.share.value == pytest.approx(3 / 6)
    assert one.return_after.value == pytest.approx((4 + 3 + 1) / 3)
    assert two.return_after.value == pytest.approx((2 + 20 + 10) / 3)
    assert one.fidelity.value == pytest.approx(2 / 3)
    assert two.fidelity.value == pytest.approx(1 / 3)


def test_a_leaf_that_nothing_reaches_has_no_return() -> None:
    a, *_ = places()
    *_, last = regions([a] * 6, None)
    assert (last.visits, last.share.value, last.fidelity) == (0, 0.0, None)
    assert np.isnan(last.return_after.value)
    assert last.to_json()["return_after"]["value"] is None


def test_overall_is_the_mean_over_states() -> None:
    assert overall(np.array([1.0, 1, 1, 1, 0, 0]), PLAYED).value == pytest.approx(4 / 6)
    assert estimate_json(Estimate(float("nan"), None, None))["value"] is None
