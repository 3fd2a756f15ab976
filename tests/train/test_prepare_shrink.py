"""The folder of a sweep: nothing of others is touched, and only the same sweep is resumed."""

import gymnasium
import pytest
from small_runs import Follow
from small_sweeps import small_sweep

from rldistill.envs.spec import TaskSpec
from rldistill.errors import MisfitError, RunFolderError, SettingError
from rldistill.train.shrink_summary import write_summary


def test_a_folder_of_others_is_never_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="not empty and holds no sweep"):
        small_sweep(tmp_path, force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(RunFolderError, match="no sweep to resume"):
        small_sweep(tmp_path, resume=True)


def test_a_sweep_is_replaced_only_by_force(tmp_path):
    write_summary(small_sweep(tmp_path / "sweep"))
    with pytest.raises(RunFolderError, match="already holds a sweep"):
        small_sweep(tmp_path / "sweep")
    small_sweep(tmp_path / "sweep", force=True)
    assert not (tmp_path / "sweep" / "shrink.json").exists()


def test_another_sweep_is_not_gone_on_with(tmp_path):
    write_summary(small_sweep(tmp_path / "sweep"))
    with pytest.raises(RunFolderError, match=r"floor: the sweep has 0.95, you asked for 0.9"):
        small_sweep(tmp_path / "sweep", resume=True, floor=0.9)
    small_sweep(tmp_path / "sweep", resume=True)


def test_a_live_vector_environment_cannot_travel(tmp_path):
    env = gymnasium.vector.SyncVectorEnv([Follow] * 2)
    with pytest.raises(SettingError, match="in several processes"):
        small_sweep(tmp_path / "sweep", task=TaskSpec(vector_env=env))


def test_a_teacher_of_another_task_is_refused(tmp_path):
    with pytest.raises(MisfitError):
        small_sweep(tmp_path / "sweep", task="Acrobot-v1")
