"""Evidence made again of a saved student: the same numbers as any other measurement would give."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import FOLLOW, follower, follower_folder

from rldistill.core import Acting
from rldistill.errors import SettingError, TaskError
from rldistill.evaluation.evaluate import EvaluationSettings
from rldistill.evaluation.evidence import STUDENT, TEACHER
from rldistill.evaluation.remeasure import remeasure


def test_a_saved_student_is_played_against_its_teacher(tmp_path: Path) -> None:
    folder = follower_folder(tmp_path / "student", threshold=2.0)
    found = remeasure(folder, follower(), FOLLOW)
    assert found.episodes.returns.shape == (3, 128)
    assert (found.episodes.returns[TEACHER] == 8.0).all()
    assert found.episodes.returns[STUDENT].mean() < 6.0
    assert (found.episodes.lengths == 8).all()
    assert 0.3 < found.states.same.mean() < 0.9


def test_it_plays_on_seeds_that_chose_nothing_and_that_follow_from_the_seed() -> None:
    one, other = (
        remeasure(follower(), follower(), FOLLOW, EvaluationSettings(seed=seed)) for seed in (0, 1)
    )
    again = remeasure(follower(), follower(), FOLLOW, EvaluationSettings(seed=0))
    assert np.array_equal(one.episodes.seeds, again.episodes.seeds)
    assert not set(one.episodes.seeds.tolist()) & set(other.episodes.seeds.tolist())


def test_a_teacher_of_another_task_is_refused() -> None:
    with pytest.raises(TaskError, match=r"the task gives \(4,\)"):
        remeasure(follower(), follower(), "CartPole-v1")


def test_sampling_from_a_policy_without_distribution_is_refused() -> None:
    from small_runs import Track, tracker

    from rldistill.envs.spec import TaskSpec

    task = TaskSpec(factory=Track, id="Track-v0")
    settings = EvaluationSettings(student_act=Acting(mode=False))
    with pytest.raises(SettingError, match="sample"):
        remeasure(tracker(), tracker(), task, settings)
