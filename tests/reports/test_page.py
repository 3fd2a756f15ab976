"""Pages, figures and data: what is in a section is in the file, and nothing else."""

import base64
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from rldistill.reports.data import as_json, cell_text, downloads, to_csv
from rldistill.reports.page import MOST_ROWS, Page, render_page
from rldistill.reports.section import Cell, Chart, Column, Media, Section, Table
from rldistill.reports.svg import PALETTE, drawing, to_svg

PAGE = Page(title="A title", sentence="A sentence.")
cells = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def drawn(label: str = "x") -> Figure:
    with drawing():
        figure = Figure()
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=PALETTE[1], label=label)
        axes.set_title(label)
    return figure


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_csv_and_json_hold_every_cell(rows: list[tuple[Cell, Cell]]) -> None:
    """JSON gives the values back; CSV as many rows, and no cell that a spreadsheet would run."""
    table = Table((Column("a", "s"), Column("b")), tuple(rows))
    found = json.loads(as_json(table))
    assert found["columns"] == [{"name": "a", "unit": "s"}, {"name": "b", "unit": ""}]
    finite = [[None if c in (float("inf"), float("-inf")) else c for c in row] for row in rows]
    assert found["rows"] == finite
    lines = list(csv.reader(io.StringIO(to_csv(table), newline="")))
    assert lines[0] == ["a [s]", "b"]
    assert len(lines) == len(rows) + 1
    texts = [cell for row in rows for cell in row if isinstance(cell, str)]
    written = [cell for line in lines[1:] for cell in line]
    assert all(text[:1] not in tuple("=+-@\t\r") or f"'{text}" in written for text in texts if text)


def test_downloads_need_no_server() -> None:
    table = Table((Column("a"),), ((1,),))
    for file in downloads(table, "My <table>"):
        kind, data = file.href.split(";base64,")
        assert kind in ("data:text/csv", "data:application/json")
        assert base64.b64decode(data)
        assert file.name in ("my-table.csv", "my-table.json")


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, "-"), (float("nan"), "-"), (True, "yes"), (0, "0"), (-1234, "-1,234"),
     (123456.7, "123,457"), (1e-9, "1e-09"), (1e300, "1e+300"), ("", "")],
)  # fmt: skip
def test_cells_for_people(cell: Cell, text: str) -> None:
    assert cell_text(cell) == text


def test_colours_become_variables_and_ids_unique() -> None:
    svg = to_svg(drawn(), "c1-", "a line")
    assert "var(--hue-1)" in svg
    assert "var(--ink)" in svg
    assert PALETTE[1] not in svg
    assert 'id="figure' not in svg
    assert svg.count('"#c1-') == svg.count('href="#')
    assert "url(#c1-" in svg
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert 'aria-label="a line"' in svg


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "$\\frac{$", "a$b$c", "日本 🎮", "&\"'"]
)
def test_any_name_can_stand_in_a_figure(name: str) -> None:
    """It is text: neither a tag, nor a formula, nor a letter that the font must have."""
    svg = to_svg(drawn(name), "c", name)
    assert "<script" not in svg
    assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in svg


def test_a_page_holds_its_section() -> None:
    table = Table((Column("who"), Column("return", "reward")), (("student", 1.5), ("x", None)))
    section = Section(
        "Part one",
        ("First.", "Second <b>."),
        (Chart(drawn(), "Chart", "Alternative", "Caption", table),),
        (table,),
        (Media("Film", "two landers", "video/mp4", b"mp4"), Media("P", "a", "image/png", b"png")),
        ("rldistill demo",),
    )
    page = render_page(PAGE, (section,))
    for text in ("A title", "A sentence.", "Part one", "First.", "Second &lt;b&gt;.", "Caption",
                 "rldistill demo", "data:video/mp4;base64,bXA0", 'alt="a"', 'aria-label="two lan',
                 'data-value="1.5"', "<script"):  # fmt: skip
        assert (text in page) == (text != "<script"), text


def test_a_video_beside_the_page_is_allowed_and_nothing_else_is() -> None:
    film = Media("Film", "two landers", "video/mp4", beside="both.mp4")
    beside = render_page(PAGE, (Section("A", media=(film,)),))
    assert 'src="both.mp4"' in beside
    assert "media-src data: file:" in beside
    assert "file:" not in render_page(PAGE, (Section("A"),))


def test_very_long_tables_are_cut_and_their_data_is_whole() -> None:
    rows = tuple((i,) for i in range(MOST_ROWS + 7))
    page = render_page(PAGE, (Section("A", tables=(Table((Column("i"),), rows),)),))
    assert page.count("<tr>") == MOST_ROWS + 1
    assert "7 more rows are in the data below" in page
