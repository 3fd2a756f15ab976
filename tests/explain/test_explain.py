"""A whole explanation, of trees and of what is none."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from small_runs import SHIPPED, follower, tracker
from small_trees import stump
from test_saliency import looker

from rldistill.core import CategoricalHead
from rldistill.envs.spec import TaskSpec
from rldistill.errors import MisfitError, SettingError, TaskError
from rldistill.explain.explain import ExplainSettings, explain_policy
from rldistill.explain.explanation import Explanation
from rldistill.explain.write import prepare_folder, text_lines, write_explanation
from rldistill.runs import read_json

FOLLOW, TRACK = TaskSpec(id="Follow-v0"), TaskSpec(id="Track-v0")
FEW = ExplainSettings(episodes=32, num_envs=16)


@pytest.fixture(scope="module")
def of_tree() -> Explanation:
    return explain_policy(stump(), FOLLOW, against=follower(), settings=FEW)


def test_the_regions_of_a_tree(of_tree: Explanation) -> None:
    """Half of the steps each; three of four actions as the teacher; leaves of one action merged."""
    left, right = of_tree.regions
    assert (of_tree.is_tree, of_tree.num_leaves, of_tree.surrogate) == (True, 3, None)
    assert (left.merged, right.merged) == ((1,), (3, 4))
    assert left.rule.words(of_tree.names).endswith(" -> action 0")
    assert left.visits + right.visits == of_tree.states == 32 * 8
    assert left.share.value + right.share.value == pytest.approx(1.0)
    for region in (left, right):
        assert region.share.low is not None
        assert region.share.low < 0.5 < region.share.high
        assert region.fidelity is not None
        assert region.fidelity.low is not None
        assert region.fidelity.low < 0.75 < region.fidelity.high
        # 4.5 steps are left on average, each worth 0.75.
        assert region.return_after.low < 3.375 < region.return_after.high
    assert of_tree.agreement is not None
    assert of_tree.agreement.value * 8 == pytest.approx(of_tree.returns.value)


def test_importance_and_changes_of_a_tree(of_tree: Explanation) -> None:
    first, second = of_tree.importance
    assert (first.name, second.name, second.unused) == ("feature 0", "feature 1", True)
    assert first.return_lost is not None
    assert first.return_lost.low < 2.0 < first.return_lost.high  # 6 of 8 become 4 of 8
    assert of_tree.changes is not None
    assert of_tree.changes.exact
    for one in of_tree.changes.examples:
        # The nearest change is the first number's way to 0, in its own deviation.
        assert one.distance == pytest.approx(abs(one.observation[0]) / 0.58, rel=0.1)
        assert one.changed[1] == one.observation[1]


def test_a_network_is_told_by_a_surrogate_and_its_fidelity_comes_first() -> None:
    found = explain_policy(follower(), FOLLOW, settings=FEW)
    assert found.surrogate is not None
    assert not found.is_tree
    assert found.against == "by hand"
    assert found.surrogate.fidelity.low is not None
    assert 0.7 < found.surrogate.fidelity.low <= found.surrogate.fidelity.value < 1.0
    # Per step, the surrogate earns what it agrees with a perfect policy.
    assert found.surrogate.returns.value / 8 == pytest.approx(
        found.surrogate.fidelity.value, abs=0.1
    )
    lines = list(text_lines(found))
    assert "surrogate tree" in lines[1]
    assert "] of steps, counted on episodes" in lines[1]
    assert lines[2].startswith("Left to play by itself it returns")
    assert found.changes is not None
    assert not found.changes.exact
    for one in found.changes.examples:
        # The border is a + b = 0: the nearest point is half the sum away in both, in deviations.
        nearest = abs(one.observation.sum()) / np.sqrt(2) / 0.58
        assert 0.9 * nearest < one.distance < 1.25 * nearest


def test_continuous_actions() -> None:
    found = explain_policy(tracker(), TRACK, settings=FEW)
    assert found.surrogate is not None
    assert found.surrogate.fidelity.value > 0.6  # 16 steps of 1/8: 5 % of the range is 0.1
    assert found.importance[0].name == "feature 0"
    assert found.importance[1].return_lost is not None
    assert found.importance[1].return_lost.value == 0.0
    assert found.regions[0].rule.action.startswith("action dimension 0 -0.")


def test_files_are_written_and_read_back(of_tree: Explanation, tmp_path: Path) -> None:
    prepare_folder(tmp_path / "out")
    written = write_explanation(of_tree, tmp_path / "out")
    assert [path.name for path in written] == ["explain.json", "rules.txt", "tree.svg"]
    record = read_json(written[0])
    assert len(record["leaves"]) == 2
    assert record["leaves"][0]["rule"].endswith("-> action 0")
    assert record["nodes"]["threshold"] == [0.0, 0.0, 0.0]
    assert record["counterfactuals"]["exact"] is True
    assert "feature 1: 0 (the tree never asks for it)" in written[1].read_text()
    assert written[2].read_text().startswith("<svg ")


def test_pixels_get_a_map(tmp_path: Path) -> None:
    class Eyes(gymnasium.Env):
        observation_space = spaces.Box(0, 255, (32, 40), np.uint8)
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.t = 0
            return self.np_random.integers(0, 256, (32, 40), np.uint8), {}

        def step(self, action):
            self.t += 1
            picture = self.np_random.integers(0, 256, (32, 40), np.uint8)
            return picture, 1.0, self.t >= 20, False, {}

    task, policy = TaskSpec(factory=Eyes), looker((32, 40), CategoricalHead(2))
    found = explain_policy(policy, task, settings=ExplainSettings(episodes=4))
    assert found.saliency is not None
    assert (found.svg, found.regions, found.importance) == (None, (), ())
    row, column = np.unravel_index(found.saliency.mean_heat.argmax(), (32, 40))
    assert 18 <= row < 26
    assert 6 <= column < 14
    assert any("view of objects or memory" in note for note in found.notes)
    written = write_explanation(found, tmp_path)
    assert [path.name for path in written] == ["explain.json", "rules.txt", "saliency.png"]
    assert written[2].read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SettingError, match="leaves has no effect on pixels"):
        explain_policy(policy, task, settings=ExplainSettings(leaves=8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"episodes": 1}, "episodes must be at least 2, got 1"),
        ({"leaves": 1}, "leaves must be at least 2, got 1"),
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"most_features": -1}, "most_features must be at least 0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, int], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        ExplainSettings(**settings)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match="leaves has no effect: tree:3 is a tree"):
        explain_policy(stump(), FOLLOW, settings=ExplainSettings(leaves=8))
    with pytest.raises(MisfitError, match="the policy takes observations of shape"):
        explain_policy(SHIPPED / "cartpole-dqn.zip", FOLLOW)
    with pytest.raises(MisfitError, match="the teacher takes observations of shape"):
        explain_policy(stump(), FOLLOW, against=SHIPPED / "cartpole-dqn.zip")
    with pytest.raises(TaskError, match="Did you mean Follow-v0"):
        explain_policy(stump(), TaskSpec(id="Folow-v0"))
