"""The video of a run, and the moments at which its two policies differ, as a section."""

import io
from dataclasses import replace
from pathlib import Path

from PIL import Image

from rldistill.core import Acting
from rldistill.envs.spec import TaskSpec
from rldistill.errors import MissingExtraError, RldistillError
from rldistill.reports.evidence_sections import task_of
from rldistill.reports.moments import Array
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Media, Section
from rldistill.reports.video import Film, VideoSettings, film

TITLE = "Side by side"
WIDEST = 480  # pixels of a picture


def film_run(
    record: RunRecord,
    teacher: str | Path,
    out: Path,
    *,
    task: TaskSpec | None = None,
    vecnormalize: Path | None = None,
) -> Film:
    """Film the student of a run beside its teacher; as film().

    Args:
        record: of the run.
        teacher: its file.
        out: the MP4 to write.
        task: where the run's own needs code that only the user can name.
        vecnormalize: statistics of the teacher.

    Raises:
        RldistillError: as film() and task_of().
    """
    settings = VideoSettings(
        student_act=Acting(record.student.get("student_act") != "sample"),
        teacher_act=Acting(record.recipe.get("teacher_act") != "sample"),
        vecnormalize=vecnormalize,
    )
    spec = replace(task_of(record) if task is None else task, backend="gymnasium")
    return film(str(record.root), str(teacher), spec, out, settings)


def film_section(made: Film, *, embed: bool = True) -> Section:
    """The video and the moments.

    Args:
        made: what was filmed.
        embed: its bytes go into the page; else the page names the file beside it.
    """
    video = Media(
        title="Teacher and student from the same start",
        alt=made.sentence(),
        media_type="video/mp4",
        data=made.path.read_bytes() if embed else None,
        beside=None if embed else made.path.name,
        caption=f"{made.sentence()} One start, which nobody chose; gymnasium steps it.",
    )
    moments = tuple(
        Media(
            title=f"Step {moment.step} of the student's episode",
            alt=f"The task at step {moment.step}. The teacher would do {moment.teacher}, the "
            f"student does {moment.student}.",
            media_type="image/png",
            data=png(moment.picture),
            caption=f"Teacher: {moment.teacher}. Student: {moment.student}."
            + ("" if moment.kl is None else f" KL {moment.kl:.3g} nats."),
        )
        for moment in made.moments
    )
    words = ("Below the video: where in this episode the two differ most.",) if moments else ()
    return Section(TITLE, words, media=(video, *moments))


def no_film_section(error: RldistillError) -> Section:
    """In place of a video that could not be made: why not. The report goes on without it."""
    kind = "is missing" if isinstance(error, MissingExtraError) else "could not be made"
    return Section(TITLE, (f"The video {kind}: {error}",))


def png(picture: Array) -> bytes:
    """A picture [height, width, 3] uint8 as a PNG, at most 480 wide."""
    image = Image.fromarray(picture)
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)))
    elif image.width * 4 <= WIDEST:
        factor = WIDEST // 2 // image.width
        size = (image.width * factor, image.height * factor)
        image = image.resize(size, Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.quantize(128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
