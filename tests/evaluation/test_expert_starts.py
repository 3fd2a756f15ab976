"""Start states out of a policy's play and out of datasets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import DatasetError, SettingError
from rldistill.evaluation.evaluate import EvaluationSettings, evaluate
from rldistill.evaluation.expert_starts import (
    StartSettings,
    record_starts,
    starts_from_dataset,
)
from rldistill.students.build import make_student
from rldistill.train.gather import GatherSettings, gather

TASK = TaskSpec(id="MinAtar/Freeway-v1", max_episode_steps=100)
FEW = StartSettings(count=40, episodes=3, share=0.2, seed=5)


def spaces_of(task: TaskSpec) -> tuple[Any, Any]:
    with make(task, 1, 0) as env:
        return env.info.observation_space, env.info.action_space


@pytest.fixture(scope="module")
def policy() -> NetworkPolicy:
    return make_student("minatar", *spaces_of(TASK))


def test_states_are_from_the_first_part_of_the_episodes(policy: NetworkPolicy) -> None:
    """Of episodes of 100 steps, steps 0 to 20, spread over all of them and over all episodes."""
    starts = record_starts(policy, TASK, FEW)
    lengths = [len(state.actions) for state in starts.states]
    assert len(lengths) == 40
    assert max(lengths) <= 20
    assert len(set(lengths)) > 10
    assert {state.seed for state in starts.states} == {5, 6, 7}
    assert "mode:0.05, 3 episodes" in starts.source


def test_the_same_seed_records_the_same_states(policy: NetworkPolicy) -> None:
    """And another one others."""
    first, again = (record_starts(policy, TASK, FEW) for _ in range(2))
    for one, other in zip(first.states, again.states, strict=True):
        assert one.seed == other.seed
        np.testing.assert_array_equal(one.actions, other.actions)
    shifted = record_starts(policy, TASK, StartSettings(count=40, episodes=3, seed=6))
    assert [s.seed for s in shifted.states] != [s.seed for s in first.states]


def test_points_before_a_start_do_not_count(policy: NetworkPolicy, tmp_path: Path) -> None:
    """evaluate() plays each state once; episodes are shorter by the steps that were replayed."""
    starts = record_starts(policy, TASK, FEW)
    starts.save(tmp_path / "s.json")
    settings = EvaluationSettings(starts=tmp_path / "s.json")
    record = evaluate(policy, TASK, against=policy, settings=settings)
    assert record["episodes"] == 40
    mean = np.mean([len(state.actions) for state in starts.states])
    assert record["mean_length"] == pytest.approx(100 - mean)
    assert any("40 start states" in note for note in record["notes"])
    assert record["teacher_return"] == record["student_return"]


def test_starts_leave_nothing_to_count(tmp_path: Path) -> None:
    """A number of episodes has no effect beside a file of starts."""
    with pytest.raises(SettingError, match="no effect with starts"):
        EvaluationSettings(starts=tmp_path / "s.json", episodes=10)


def test_datasets_give_the_first_episode_of_each_environment(tmp_path: Path) -> None:
    """Those can be played to again; that they were is checked against what was recorded."""
    task = TaskSpec(id="MinAtar/Breakout-v1")
    player = make_student("minatar", *spaces_of(task))
    settings = GatherSettings(
        steps=600, num_envs=4, seed=3, epsilon=0.3, teacher_act=Acting(mode=False)
    )
    gather(player, task, tmp_path / "data", settings)
    starts = starts_from_dataset(tmp_path / "data", StartSettings(count=30, episodes=100))
    assert starts.task_id == task.id
    assert "4 recorded episodes" in starts.source
    assert len({state.seed for state in starts.states}) == 4


def test_datasets_that_cannot_be_replayed_are_refused(tmp_path: Path) -> None:
    """As those of envpool, whose episodes gymnasium does not repeat."""
    task = TaskSpec(id="CartPole-v1", backend="envpool")
    player = make_student("mlp:4", *spaces_of(task))
    gather(player, task, tmp_path / "data", GatherSettings(steps=200, num_envs=2))
    with pytest.raises(DatasetError, match=r"none of its episodes.*collected on envpool"):
        starts_from_dataset(tmp_path / "data")


@pytest.mark.parametrize("wrong", [{"count": 0}, {"share": 0.0}, {"share": 1.5}, {"episodes": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    """Before anything is played."""
    with pytest.raises(SettingError):
        StartSettings(**wrong)
