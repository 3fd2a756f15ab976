"""Choices that follow from what was asked alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import FOLLOW, Follow, follower

from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError
from rldistill.methods.catalogue import DEFAULT
from rldistill.students.families import parse_spec
from rldistill.train.request import (
    Request,
    choose_device,
    choose_threads,
    make_task,
    open_folder,
    with_method,
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


def asked(student: object, method: str | None) -> Request:
    return Request(
        teacher=follower(),
        task=FOLLOW,
        student=student,
        out=None,
        resume=False,
        settings=Settings(method=method),
    )


@pytest.mark.parametrize("student", ["tree:8", "rules:3", parse_spec("linear-tree:2")])
def test_the_default_row_of_a_tree_is_viper(student: object) -> None:
    assert with_method(asked(student, None)).settings.row.name == "viper"
    assert with_method(asked(student, "cart")).settings.row.name == "cart"


@pytest.mark.parametrize("student", [None, "mlp:8", "soft-tree:2", torch.nn.Linear(2, 2)])
def test_the_default_row_of_a_network_is_the_default(student: object) -> None:
    assert with_method(asked(student, None)).settings.row.name == DEFAULT


@pytest.mark.parametrize(
    ("student", "method", "message"),
    [
        ("tree:8", "dagger", "choose viper, viper-unweighted, cart"),
        ("mlp:8", "viper", "such as tree:64, linear-tree:16 or rules:8"),
        (None, "cart", "such as tree:64"),
        ("tree:0", None, r"leaves must be 1 to 1,048,576, got 0"),
        ("soft-tree:0", None, "depth must be 1 to 12, got 0"),
    ],
)
def test_a_row_and_a_student_that_do_not_fit_are_refused(student, method, message) -> None:
    with pytest.raises(SettingError, match=message):
        with_method(asked(student, method))
