"""The picture says of each node what the explanation says of it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from small_runs import follower
from small_trees import stump

from rldistill.envs.spec import TaskSpec
from rldistill.explain.explain import ExplainSettings, explain_policy
from rldistill.explain.explanation import Explanation
from rldistill.explain.picture import picture_of

FOLLOW = TaskSpec(id="Follow-v0")
FEW = ExplainSettings(episodes=32, num_envs=16)


@pytest.fixture(scope="module")
def of_tree() -> Explanation:
    return explain_policy(stump(), FOLLOW, settings=FEW)


def words(svg: str | None) -> list[str]:
    assert svg is not None
    return re.findall(r">([^<>]+)</(?:text|tspan|title)>", svg)


def test_each_leaf_has_its_share_and_its_return(of_tree: Explanation) -> None:
    told = " ".join(words(of_tree.svg))
    for region in of_tree.regions:
        assert f"{region.number}: {100 * region.share.value:.3g} % of steps" in told
        assert f"return {region.return_after.value:.4g} follows" in told
        assert region.rule.action in told
    assert "100 % of steps" in told  # the root


def test_what_was_merged_and_what_it_returned_is_said(of_tree: Explanation) -> None:
    told = " ".join(words(of_tree.svg))
    assert "1 of them merged into neighbours that do the same" in told
    assert f"return {of_tree.returns.value:.4g} over 32 episodes" in told


def test_a_leaf_without_visits_is_called_that(of_tree: Explanation) -> None:
    first, second = of_tree.regions
    assert of_tree.tree is not None
    changed = replace(of_tree, regions=(first, replace(second, visits=0)))
    again = picture_of(changed, of_tree.tree, np.zeros((4, 2), np.float32))
    assert "2: never visited" in " ".join(words(again.svg))


def test_a_surrogate_is_called_one() -> None:
    found = explain_policy(follower(), FOLLOW, settings=replace(FEW, leaves=4))
    assert found.surrogate is not None
    told = " ".join(words(found.svg))
    assert "by a surrogate tree of" in told
    assert f"left to play it returns {found.surrogate.returns.value:.4g}" in told
