"""Table layout on narrow terminals: no name or number is truncated."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table

LONGEST_WORD = 24  # longer words are hashes and paths, which may be split


def fit_table(table: Table, console: Console, options: ConsoleOptions) -> Table:
    """Set column widths so that each word fits, or stack the cells of each row if that is impossible.

    rich shrinks the widest columns first, whether or not their words still fit.
    """
    if not table.show_header or len(table.columns) < 3:
        return table
    columns = [[column.header, *column.cells] for column in table.columns]
    unlimited = options.update_width(10_000)
    measured = [[Measurement.get(console, unlimited, cell) for cell in cells] for cells in columns]
    widths = [min(max(cell.minimum for cell in cells), LONGEST_WORD) for cells in measured]
    wanted = [max(cell.maximum for cell in cells) for cells in measured]
    room = options.max_width - 3 * len(columns) - 1  # excluding borders and padding
    if sum(widths) > room:
        return stack_cells(table)
    if sum(wanted) > room:
        for column, width in zip(table.columns, distribute(room, widths, wanted), strict=True):
            column.width = width
    return table


def distribute(room: int, widths: list[int], wanted: list[int]) -> list[int]:
    """Give the remaining room to the columns that are furthest below their wanted width."""
    widths = list(widths)
    for _ in range(room - sum(widths)):
        missing = [want - width for width, want in zip(widths, wanted, strict=True)]
        widths[missing.index(max(missing))] += 1
    return widths


def stack_cells(table: Table) -> Table:
    """Return the table with the cells of each row stacked, each next to its column header."""
    rows = Table(title=table.title, caption=table.caption, show_header=False, title_justify="left")
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            if cell != "":
                rows.add_row(column.header, cell)
        rows.add_section()
    return rows


def fold_words(table: Table) -> Table:
    """Wrap long words on a narrow terminal instead of truncating them: a truncated name is useless."""
    for column in table.columns:
        column.overflow = "fold"
    return table
