"""Tables of the page, many of them the same as in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class PageRow:
    """The header of a row and its cells. A note has no cells: it belongs to the row before it."""

    header: str
    cells: Sequence[str] = ()
    best: int | None = None  # the cell to emphasize
    is_part: bool = False  # of the row before it


@dataclass(frozen=True)
class PageTable:
    title: str
    columns: Sequence[str]  # empty if the table has no header
    rows: Sequence[PageRow]
    notes: Sequence[str] = field(default_factory=list)
    sortable: bool = False


def from_terminal(table: Table) -> PageTable:
    """Convert a table of the terminal: its text, which cells are bold, and which rows are notes."""
    rows = []
    for row in zip(*(column.cells for column in table.columns), strict=True):
        header, *cells = map(to_text, row)
        if header.style == "dim":
            rows.append(PageRow(header.plain.strip()))
            continue
        best = next((position for position, cell in enumerate(cells) if cell.style == "bold"), None)
        is_part = header.plain.startswith("  ")
        rows.append(PageRow(header.plain.strip(), [cell.plain for cell in cells], best, is_part))
    columns = [to_text(column.header).plain for column in table.columns] if table.show_header else []
    notes = to_text(table.caption).plain.splitlines() if table.caption else []
    return PageTable(to_text(table.title or "").plain, columns, rows, notes)


def to_text(content: Any) -> Text:
    return content if isinstance(content, Text) else Text.from_markup(str(content), emoji=False)


def fields_table(title: str, names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> PageTable:
    """Return the fields of one record per run side by side."""
    fields = dict.fromkeys(name for record in records for name in record)
    rows = [
        PageRow(name, ["none" if record.get(name) is None else str(record[name]) for record in records])
        for name in fields
    ]
    return PageTable(title, ["", *names], rows)
