"""The video of a report: whose teacher plays, and what is said where there is none."""

import tempfile
from pathlib import Path

from rldistill.envs.spec import TaskSpec
from rldistill.errors import RldistillError, SettingError
from rldistill.reports.film_section import film_run, film_section, no_film_section
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Section


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
        source = teacher or said_path(run, "teacher")
        if source is None:
            raise SettingError("the run does not say where its teacher is: give --teacher FILE")
        if task is None and ":" in (run.task or ""):
            raise SettingError(f"{run.task} names a module, which is code: give --import MODULE")
        statistics = vecnormalize or said_path(run, "vecnormalize")
        with tempfile.TemporaryDirectory(prefix="rldistill-report-") as folder:
            out = Path(folder) / "both.mp4"
            return film_section(film_run(run, source, out, task=task, vecnormalize=statistics))
    except RldistillError as error:
        return no_film_section(error)


def said_path(run: RunRecord, key: str) -> Path | None:
    """A path that recipe.toml names."""
    said = run.recipe.get(key)
    return Path(said) if isinstance(said, str) and said else None
