"""Tables as files: CSV for spreadsheets, JSON for programs, and as links that carry their data."""

import base64
import csv
import io
import math
import re
from dataclasses import dataclass
from typing import final

from rldistill.reports.section import Cell, Column, Table
from rldistill.runs import to_json


@final
@dataclass(frozen=True, slots=True)
class Download:
    """A link that holds a file."""

    kind: str
    name: str
    href: str


def downloads(table: Table, name: str) -> tuple[Download, ...]:
    """A table as CSV and as JSON, in links that need no server.

    Args:
        table: what they hold.
        name: what the files are called; other letters than a-z become hyphens.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "data"
    return (
        Download("CSV", f"{stem}.csv", data_uri("text/csv", to_csv(table).encode())),
        Download("JSON", f"{stem}.json", data_uri("application/json", as_json(table).encode())),
    )


def data_uri(media_type: str, data: bytes) -> str:
    """A link that is its own file.

    >>> data_uri("text/csv", b"a")
    'data:text/csv;base64,YQ=='
    """
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def to_csv(table: Table) -> str:
    """CSV with one header row; a unit stands in brackets behind its name.

    A text that a spreadsheet would take for a formula gets an apostrophe, which it takes off again.

    >>> to_csv(Table((Column("name"), Column("time", "s")), (("=1+1", 0.5),)))
    "name,time [s]\\r\\n'=1+1,0.5\\r\\n"
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([_harmless(heading(column)) for column in table.columns])
    writer.writerows([[_harmless(cell) for cell in row] for row in table.rows])
    return buffer.getvalue()


def heading(column: Column) -> str:
    """A column's name and unit in one text."""
    return f"{column.name} [{column.unit}]" if column.unit else column.name


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") else cell


def as_json(table: Table) -> str:
    """A JSON object: columns with names and units, and rows; NaN and infinity are null."""
    columns = [{"name": column.name, "unit": column.unit} for column in table.columns]
    return to_json({"columns": columns, "rows": table.rows})


def cell_text(cell: Cell) -> str:
    """A cell for people: a dash where it does not apply, four digits of a fraction.

    >>> cell_text(None), cell_text(1234567), cell_text(0.123456), cell_text(20416.5)
    ('-', '1,234,567', '0.1235', '20,416')
    >>> cell_text(9999.7), cell_text(0.0)
    ('10,000', '0')
    """
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if 9999.5 <= abs(cell) < 1e15 else f"{cell:.4g}"
    return cell
