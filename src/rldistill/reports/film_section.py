"""The video of a run, and the moments at which its two policies differ, as a section."""

import io

from PIL import Image

from rldistill.reports.moments import Array
from rldistill.reports.section import Media, Section
from rldistill.reports.video import Film

TITLE = "Side by side"
WIDEST = 480  # pixels of a picture


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
        caption=f"{made.sentence()} One start, which nobody chose.",
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
