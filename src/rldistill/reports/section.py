"""What a page is made of: sections of words, charts, tables and media, each with its data.

A function that looks at runs gives a Section; what turns sections into HTML or Markdown never
looks at runs. So whatever is in a section can be shown, read aloud and downloaded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from rldistill.errors import SettingError, ShapeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = str | int | float | bool | None
MEDIA_TYPES = ("image/png", "video/mp4")


@final
@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: what its header says, for example "mean return".
        unit: of its numbers, for example "env steps" or "nats"; "" where they have none.
    """

    name: str
    unit: str = ""


@final
@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under named columns; a cell that does not apply is None.

    Attributes:
        columns: their names and units.
        rows: as many cells each as there are columns.
        title: a few words above it; "" where those of its section say enough.
        interactive: on a page it sorts by each column and filters.

    Raises:
        ShapeError: no column, or a row that has not as many cells as there are columns.

    >>> Table((Column("seed"), Column("return")), ((0, 500.0), (1, None))).rows[1]
    (1, None)
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    interactive: bool = False

    def __post_init__(self) -> None:
        if not self.columns:
            raise ShapeError("a table needs at least one column")
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.columns):
                raise ShapeError(
                    f"row {number} of a table must have {len(self.columns)} cells, one per column; "
                    f"got {len(row)}"
                )


@final
@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, what it says to who cannot see it, and what is drawn in it.

    Attributes:
        figure: of matplotlib, axes titled with their units.
        title: a few words above it.
        alt: the text alternative: what the figure shows, in a sentence. Never empty.
        caption: what is drawn and how it was computed, below it.
        data: what is drawn, offered as CSV and JSON.

    Raises:
        SettingError: the title or the text alternative is empty.
    """

    figure: "Figure"
    title: str
    alt: str
    caption: str
    data: Table

    def __post_init__(self) -> None:
        require_words("chart", title=self.title, alt=self.alt)


@final
@dataclass(frozen=True, slots=True)
class Media:
    """A picture or a video: its bytes go into the page, or its name stands there, beside the page.

    Attributes:
        title: a few words above it.
        alt: the text alternative. Never empty.
        media_type: "image/png" or "video/mp4".
        data: its bytes; None where it lies beside the page.
        beside: its file name where it lies beside the page; None where the page holds it.
        caption: below it; "" for none.

    Raises:
        SettingError: empty words, an unknown media type, or not exactly one of data and beside.
    """

    title: str
    alt: str
    media_type: str
    data: bytes | None = None
    beside: str | None = None
    caption: str = ""

    def __post_init__(self) -> None:
        require_words("picture or video", title=self.title, alt=self.alt)
        if self.media_type not in MEDIA_TYPES:
            raise SettingError(
                f"media_type must be one of {', '.join(MEDIA_TYPES)}; got {self.media_type!r}"
            )
        if (self.data is None) == (self.beside is None):
            raise SettingError(
                "media needs its data or the name of a file beside the page, not both"
            )


@final
@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under one title.

    Attributes:
        title: a few words.
        words: plain paragraphs; whatever they hold is shown as text.
        code: below the words, what a reader may copy, each as one block.
        charts, tables, media: below that, in this order.
    """

    title: str
    words: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    media: tuple[Media, ...] = ()
    code: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_words("section", title=self.title)


def require_words(what: str, **words: str) -> None:
    """Raise a SettingError where one of these texts is empty."""
    for name, text in words.items():
        if not text.strip():
            raise SettingError(f"a {what} needs a {name} that is not empty")
