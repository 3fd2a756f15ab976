"""resume(): continue a run from its folder, in Python."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rldistill.errors import SettingError
from rldistill.recipes.build import make_request
from rldistill.recipes.models import make_recipe, require_whole, saved_recipe
from rldistill.runs import is_live_object
from rldistill.train.distill import distilling
from rldistill.train.prepare import Request, prepare
from rldistill.train.result import Run
from rldistill.train.settings import Settings


def resume(
    run: str | Path,
    teacher: Any = None,
    task: Any = None,
    student: Any = None,
    *,
    steps: int | None = None,
    settings: Settings | None = None,
) -> Run:
    """Continue a run that was stopped, or one that has ended with more steps.

    Weights, optimiser, random states, counters and the verdict's state are taken over; environments
    start new episodes. What is left out is as recipe.toml in the run folder says. Live objects are
    in no file: give those that distill() was given again.

    Args:
        run: the run folder.
        teacher: as in distill; None: the file that the run was made of.
        task: as in distill; None: the task that the run was made of.
        student: as in distill; None: the spec that the run was made of. The weights of a live one
            are replaced by those of the run.
        steps: environment steps after which training ends at the latest; None: as before.
        settings: everything else, in place of what the recipe says. Required where the run was made
            with a Method of one's own or with another number of evaluation_envs than the default.

    Returns:
        The finished run.

    Raises:
        RunFolderError: not a run, nothing left to do, or teacher, task, student or a setting are
            not those of the run: one line each.
        SettingError: a live object is not given again.
        RldistillError: as distill.
    """
    request = _saved_request(Path(run), settings, task_given=task is not None)
    request = replace(
        request,
        teacher=request.teacher if teacher is None else teacher,
        task=request.task if task is None else task,
        student=request.student if student is None else student,
    )
    for name, value in (
        ("teacher", request.teacher),
        ("task", request.task),
        ("student", request.student),
    ):
        if is_live_object(value):
            raise SettingError(
                f"{run} was made with {value} as {name}, which is in no file: give it again, "
                f"resume(run, {name}=...)"
            )
    require_whole(request.settings.env_kwargs)
    if steps is not None:
        request = replace(request, settings=replace(request.settings, steps=steps))
    job = prepare(request)
    for _ in distilling(job):
        pass
    return Run.finished(job)


def _saved_request(run: Path, settings: Settings | None, task_given: bool) -> Request:
    """What the run was asked for, with the settings replaced where some are given.

    A task that is given brings its own backend, keyword arguments and wrapper.
    """
    saved = saved_recipe(run)
    of_task = ("backend", "env_kwargs", "wrapper", "imports", "teacher_view", "student_view")
    kept = {key: value for key, value in saved.items() if not (task_given and key in of_task)}
    request = make_request(make_recipe(kept), command="", force=False, resume=run)
    return request if settings is None else replace(request, settings=settings)
