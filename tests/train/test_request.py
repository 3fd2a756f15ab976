"""Choices that follow from what was asked alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import FOLLOW, Follow, follower

from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError
from rldistill.train.request import (
    Request,
    choose_device,
    choose_threads,
    make_task,
    open_folder,
)
from rldistill.train.settings import Settings


def test_settings_of_the_task_are_added_to_it() -> None:
    settings = Settings(backend="gymnasium", env_kwargs={"scale": 2.0}, imports=("small_runs",))
    task = make_task("Follow-v0", settings)
    assert task.backend == "gymnasium"
    assert dict(task.env_kwargs) == {"scale": 2.0}
    assert task.imports == ("small_runs",)


def test_settings_that_say_nothing_leave_the_task_as_it_is() -> None:
    task = TaskSpec(id="Follow-v0", backend="gymnasium", wrapper="small_runs:halve")
    assert make_task(task, Settings()) == task


def test_a_setting_without_effect_is_an_error() -> None:
    with pytest.raises(SettingError, match="env_kwargs has no effect on a live environment"):
        make_task(Follow, Settings(env_kwargs={"scale": 2.0}))


def test_the_device_is_the_cpu_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="this PyTorch sees no CUDA device; use --device cpu"):
        choose_device("cuda")


def test_small_networks_get_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    small = follower().info
    assert choose_threads(small, small) == 1
    assert choose_threads(replace(small, acting_parameters=10**6), small) == 6


def test_a_task_without_a_teacher_to_play_it_is_refused() -> None:
    """Recorded labels are learnt from, and nobody is judged."""
    with pytest.raises(SettingError, match="task has no effect without a teacher"):
        Request(
            teacher=None, task=FOLLOW, student=None, out=None, resume=False,
            settings=Settings(data="d"),
        )  # fmt: skip


def test_resuming_needs_a_folder(tmp_path: Path) -> None:
    request = Request(
        teacher=None, task=None, student=None, out=None, resume=True, settings=Settings()
    )
    with pytest.raises(SettingError, match="resume needs the run folder"):
        open_folder(request, "Follow-v0", "mlp:8")
    made = open_folder(replace(request, out=tmp_path / "run", resume=False), "Follow-v0", "mlp:8")
    assert open_folder(replace(request, out=made.root), "Follow-v0", "mlp:8") == made
