"""The views that a run's student was made with, for commands that are given the run alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rldistill.envs.spec import TaskSpec
from rldistill.envs.views import View
from rldistill.errors import RunFolderError, SettingError
from rldistill.runs import RunFolder, read_json


def with_own_views(task: TaskSpec, policy: Any, teacher: Any = None) -> TaskSpec:
    """A task with the views of a run in the seats for which none is named.

    Args:
        task: as the user names it.
        policy: who sits in the student's seat: a run folder of ours brings its views, the
            teacher's among them; anything else brings none.
        teacher: who sits in the teacher's seat, where it may be a run of ours too.

    Raises:
        SettingError: a view runs code, which only the user can name.
    """
    student_view, teacher_view = task.seats
    own = recorded_views(card_of(policy))
    if student_view is None:
        student_view = own.get("student_view")
    if teacher_view is None:
        teacher_view = own.get("teacher_view")
    if teacher_view is None:
        teacher_view = recorded_views(card_of(teacher)).get("student_view")
    if (student_view, teacher_view) == task.seats:
        return task
    for view, given in zip((student_view, teacher_view), task.seats, strict=True):
        if view is not None and given is None:
            refuse_code(view, "the run folder")
    return replace(task, student_view=student_view, teacher_view=teacher_view)


def through_views(task: TaskSpec, views: Mapping[str, View]) -> TaskSpec:
    """The task seen through views by the names of their settings; a seat without one stays."""
    return replace(
        task,
        student_view=views.get("student_view", task.student_view),
        teacher_view=views.get("teacher_view", task.teacher_view),
    )


def refuse_code(view: View, where: str) -> None:
    """Refuse a view from a folder, which may be anybody's, that would run code.

    Raises:
        SettingError: it would.
    """
    if view.runs_code:
        raise SettingError(
            f"the view {view} in {where} runs code: if you trust it, name it yourself with "
            "--student-view or --teacher-view"
        )


def recorded_views(task: object) -> dict[str, View]:
    """The views in a record of a task, by the names of their settings; damaged ones are errors.

    Raises:
        SettingError: one cannot be read.
    """
    said: dict[str, Any] = task if isinstance(task, dict) else {}
    names = ("student_view", "teacher_view")
    return {name: View.parse(str(said[name]), name) for name in names if said.get(name)}


def card_of(source: Any) -> object:
    """What the student.json of a run folder says of its task; None where it is anything else."""
    run = RunFolder.found(source)
    try:
        return None if run is None else read_json(run.student_json).get("task")
    except RunFolderError:
        return None
