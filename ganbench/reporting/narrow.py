"""Tables on narrow terminals: no name or number is cut."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table

LONGEST_WORD = 24  # longer ones are hashes and paths, which a narrow column may cut


def fitted(table: Table, console: Console, options: ConsoleOptions) -> Table:
    """The table with columns wide enough for their words, or else its cells below each other.

    rich takes width from the widest columns first, whether or not their words still fit.
    """
    if not table.show_header or len(table.columns) < 3:
        return table
    columns = [[column.header, *column.cells] for column in table.columns]
    unlimited = options.update_width(10_000)
    measured = [[Measurement.get(console, unlimited, cell) for cell in cells] for cells in columns]
    widths = [min(max(cell.minimum for cell in cells), LONGEST_WORD) for cells in measured]
    wanted = [max(cell.maximum for cell in cells) for cells in measured]
    room = options.max_width - 3 * len(columns) - 1  # without borders and padding
    if sum(widths) > room:
        return stacked(table)
    if sum(wanted) > room:
        for column, width in zip(table.columns, shared_out(room, widths, wanted), strict=True):
            column.width = width
    return table


def shared_out(room: int, widths: list[int], wanted: list[int]) -> list[int]:
    """The widths after the rest of the room went to the columns that lack most."""
    widths = list(widths)
    for _ in range(room - sum(widths)):
        lacks = [want - width for width, want in zip(widths, wanted, strict=True)]
        widths[lacks.index(max(lacks))] += 1
    return widths


def stacked(table: Table) -> Table:
    """The same table with the cells of a row below each other, each beside the header of its column."""
    rows = Table(title=table.title, caption=table.caption, show_header=False, title_justify="left")
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            if cell != "":
                rows.add_row(column.header, cell)
        rows.add_section()
    return rows
