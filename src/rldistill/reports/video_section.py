"""The video of a report: teacher and student side by side, inside the page."""

import tempfile
from pathlib import Path

from rldistill.envs.spec import TaskSpec
from rldistill.errors import RldistillError
from rldistill.reports.evidence_sections import acting_of, card_of, task_of
from rldistill.reports.film_section import TITLE, film_section
from rldistill.reports.record import RunRecord, plain_text
from rldistill.reports.section import Section
from rldistill.reports.video import VideoSettings, film


def video_section(
    run: RunRecord,
    teacher: Path | None,
    *,
    task: TaskSpec | None = None,
    vecnormalize: Path | None = None,
) -> Section:
    """Film both from one start; where that cannot be done the section says why.

    Args:
        run: whose student plays.
        teacher: its file; None: where the run says that it came from.
        task: None: that of the run, unless code is needed for it that only the user can name.
        vecnormalize: statistics of the teacher's observation normaliser; None: the run's own.
    """
    try:
        return _filmed(run, teacher, task, vecnormalize)
    except (RldistillError, OSError) as error:
        return Section(TITLE, (f"There is no video: {plain_text(error)}.",))


def _filmed(
    run: RunRecord, teacher: Path | None, task: TaskSpec | None, vecnormalize: Path | None
) -> Section:
    settings = film_settings(run, teacher, vecnormalize)
    spec = task_of(run) if task is None else task
    source = teacher or _path(run.recipe.get("teacher"))
    if source is None:
        raise RldistillError("the run does not say where its teacher is; give --teacher FILE")
    with tempfile.TemporaryDirectory(prefix="rldistill-report-") as folder:
        made = film(str(run.root), str(source), spec, Path(folder) / "both.mp4", settings)
        return film_section(made)


def film_settings(run: RunRecord, teacher: Path | None, vecnormalize: Path | None) -> VideoSettings:
    """How a run is filmed: its policies act as they did; another teacher has its own card."""
    return VideoSettings(
        student_act=acting_of(run.student.get("student_act")),
        teacher_act=acting_of(run.recipe.get("teacher_act")),
        vecnormalize=vecnormalize or _path(run.recipe.get("vecnormalize")),
        card=card_of(run) if teacher is None else None,
    )


def _path(said: object) -> Path | None:
    return Path(said) if isinstance(said, str) and said else None
