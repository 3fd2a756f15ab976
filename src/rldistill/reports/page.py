"""Sections as one HTML file: it works from disk, asks no other machine for anything, runs no code
but its own few lines, and shows whatever a run folder holds as text.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rldistill.reports.data import Download, cell_text, data_uri, downloads
from rldistill.reports.section import Cell, Chart, Media, Section, Table
from rldistill.reports.svg import to_svg
from rldistill.runs.files import to_json

MARK = "rldistill report"  # by which a page is known as one of ours
VERDICTS = ("holds", "fails", "unsure")
FILTERED = 8  # rows from which on an interactive table has a box to filter them
MOST_ROWS = 3000  # of one table that are drawn; beyond that it takes seconds to open


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What stands around the sections.

    Attributes:
        title: what is reported on.
        word: holds, fails or unsure; "" where there is no verdict.
        lead: the first words of the verdict, in its colour.
        sentence: the rest of it; or, without a verdict, what there is to say.
        problems: what is missing or wrong, a sentence each.
        notes: what else is worth a line at the top.
        footer: at the end.
    """

    title: str
    sentence: str
    word: str = ""
    lead: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    footer: str = ""


def render_page(page: Page, sections: tuple[Section, ...]) -> str:
    """One self-contained HTML file.

    Args:
        page: its head.
        sections: its parts, in this order.
    """
    parts = [_part(section, f"s{i}") for i, section in enumerate(sections, 1)]
    interactive = any(table["interactive"] for part in parts for table in part["tables"])
    beside = any(shown.data is None for section in sections for shown in section.media)
    script = _source("page.js") if interactive else ""
    return _template().render(
        page=page,
        parts=parts,
        mark=MARK,
        version=_version(),
        css=Markup(_source("page.css")),
        script=Markup(script),
        policy=_policy(script, beside),
    )


def _policy(script: str, beside: bool) -> str:
    """What a browser may do for this page: run this one script and show what is in it."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    elsewhere = " file: 'self'" if beside else ""
    rules = [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src {allowed}",
        f"img-src data:{elsewhere}",
        f"media-src data:{elsewhere}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(rules)


@cache
def _source(name: str) -> str:
    return (files("rldistill.reports") / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(_source("page.html"))


def _version() -> str:
    from importlib.metadata import version

    return version("rldistill")


def _part(section: Section, key: str) -> dict[str, Any]:
    return {
        "title": section.title,
        "words": section.words,
        "code": section.code,
        "charts": [_chart(chart, f"{key}c{i}") for i, chart in enumerate(section.charts, 1)],
        "tables": [_table(t, section.title, f"{key}t{i}") for i, t in enumerate(section.tables, 1)],
        "media": [_media(shown) for shown in section.media],
    }


def _chart(chart: Chart, key: str) -> dict[str, Any]:
    return {
        "title": chart.title,
        "caption": chart.caption,
        "svg": Markup(to_svg(chart.figure, f"{key}-", chart.alt)),
        "downloads": downloads(chart.data, chart.title),
    }


def _media(shown: Media) -> dict[str, Any]:
    source = shown.beside if shown.data is None else data_uri(shown.media_type, shown.data)
    return {
        "title": shown.title,
        "alt": shown.alt,
        "caption": shown.caption,
        "is_video": shown.media_type.startswith("video/"),
        "source": source,
    }


@final
@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell as it is drawn.

    Attributes:
        text: for people.
        value: what it is sorted by where that is a number, "" where it does not apply; None: text.
        kind: its class.
    """

    text: str
    value: str | None
    kind: str


def _cell(cell: Cell, is_number: bool) -> _Cell:
    kind = "number" if is_number else f"word-{cell}" if cell in VERDICTS else ""
    value = to_json(cell) if isinstance(cell, int | float) else "" if cell is None else None
    return _Cell(cell_text(cell), "" if value == "null" else value, kind)


def _table(table: Table, section: str, key: str) -> dict[str, Any]:
    numbers = [
        any(isinstance(row[i], int | float) for row in table.rows)
        for i in range(len(table.columns))
    ]
    left_out = len(table.rows) - MOST_ROWS
    files: tuple[Download, ...] = ()
    if table.rows:
        files = downloads(table, table.title or section)
    return {
        "key": key,
        "title": table.title,
        "label": table.title or section,
        "interactive": table.interactive and len(table.rows) > 1,
        "filters": table.interactive and len(table.rows) >= FILTERED,
        "columns": [
            {"name": column.name, "unit": column.unit, "is_number": is_number}
            for column, is_number in zip(table.columns, numbers, strict=True)
        ],
        "rows": [
            [_cell(cell, is_number) for cell, is_number in zip(row, numbers, strict=True)]
            for row in table.rows[:MOST_ROWS]
        ],
        "more": f"{left_out:,} more rows are in the data below." if left_out > 0 else "",
        "downloads": files,
    }
