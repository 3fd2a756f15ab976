"""Sections: what cannot be shown, read aloud or downloaded is refused when it is made."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from rldistill.errors import SettingError, ShapeError
from rldistill.reports.section import Chart, Column, Media, Section, Table

TABLE = Table((Column("seed"), Column("return", "reward")), ((0, 1.5), (1, None)))


@pytest.mark.parametrize("row", [(), (1,), (1, 2, 3)])
def test_a_row_has_one_cell_per_column(row: tuple[Any, ...]) -> None:
    with pytest.raises(ShapeError, match=f"row 2 .* 2 cells.*got {len(row)}"):
        Table(TABLE.columns, ((0, 1.0), row))


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least one column"):
        Table((), ())


@pytest.mark.parametrize("empty", ["alt", "title"])
def test_no_chart_without_words(empty: str) -> None:
    """A chart that says nothing to who cannot see it is no chart."""
    words = {"alt": "rises", "title": "Return", "caption": ""} | {empty: "  "}
    with pytest.raises(SettingError, match=f"{empty} that is not empty"):
        Chart(figure=Figure(), data=TABLE, **words)


@pytest.mark.parametrize("where", [{}, {"data": b"x", "beside": "a.mp4"}])
def test_media_are_in_the_page_or_beside_it(where: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="not both"):
        Media("Side by side", "two landers", "video/mp4", **where)


def test_unknown_media_are_refused() -> None:
    """What a browser might run instead of show (SVG, HTML) is no media."""
    with pytest.raises(SettingError, match="image/svg"):
        Media("Logo", "a logo", "image/svg+xml", b"<svg/>")
    with pytest.raises(SettingError, match="alt"):
        Media("Logo", "", "image/png", b"x")


def test_a_section_has_a_title() -> None:
    with pytest.raises(SettingError, match="section needs a title"):
        Section(" ")
