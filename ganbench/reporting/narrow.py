"""Table layout at any width: no name and no number is truncated, and words stay whole as far as possible."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Column, Table
from rich.text import Text

SPLIT_WIDTH = 24  # longer words may be split after a slash or an equals sign, such as paths
LONGEST_NAME = 40  # longer words without these may be split anywhere, such as hashes
BREAKS = ("/=", "-_.:,+")  # characters after which a word is split where it must be; the first ones are preferred


def fit_table(table: Table, console: Console, options: ConsoleOptions) -> Table:
    """Return the table with widths for its columns so that each word fits; if that is impossible, stack the cells of
    each row.

    rich shrinks the widest columns first, whether or not their words still fit. Grids, without borders, are left alone.
    """
    if table.box is None or not table.columns:
        return table
    cells = [[as_text(cell, console) for cell in column_cells(column, table)] for column in table.columns]
    room = options.max_width - 3 * len(cells) - 1  # excluding borders and padding
    wanted = [max(map(line_width, column), default=0) for column in cells]
    needed = [max(map(word_width, column), default=0) for column in cells]
    fitted = copy(table)
    fitted.min_width = min(options.max_width, max(title_widths(table, console), default=0))
    if sum(wanted) <= room:
        return fitted
    if sum(needed) > room and table.show_header and len(cells) > 2:
        return fit_table(stack_cells(table), console, options)
    widths = distribute(room, needed, wanted) if sum(needed) <= room else shrink(room, needed)
    fitted.columns = [
        fit_column(column, texts, width, table)
        for column, texts, width in zip(table.columns, cells, widths, strict=True)
    ]
    return fitted


def column_cells(column: Column, table: Table) -> list[RenderableType]:
    return [*([column.header] if table.show_header else []), *column.cells]


def title_widths(table: Table, console: Console) -> list[int]:
    """Return the widths of the longest words above and below the table, which are wrapped at its width."""
    return [word_width(as_text(each, console)) for each in (table.title, table.caption) if each is not None]


def as_text(cell: RenderableType, console: Console) -> Text:
    return cell if isinstance(cell, Text) else console.render_str(str(cell), highlight=False)


def line_width(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


def word_width(text: Text) -> int:
    """Return the width of the longest word, or of the pieces into which it may be split."""
    return max(map(unsplit_width, text.plain.split()), default=0)


def unsplit_width(word: str) -> int:
    if cell_len(word) <= SPLIT_WIDTH:
        return cell_len(word)
    pieces = map(cell_len, re.split(rf"(?<=[{BREAKS[0]}])", word))
    return max([SPLIT_WIDTH, *(width for width in pieces if width <= LONGEST_NAME)])


def distribute(room: int, widths: list[int], wanted: list[int]) -> list[int]:
    """Give the remaining room to the narrowest of the columns that want to be wider."""
    widths = list(widths)
    for _ in range(room - sum(widths)):
        growing = [n for n, width in enumerate(widths) if width < wanted[n]]
        widths[min(growing, key=widths.__getitem__)] += 1
    return widths


def shrink(room: int, widths: list[int]) -> list[int]:
    """Take from the widest columns what does not fit; each keeps at least one character."""
    widths = list(widths)
    while sum(widths) > max(room, len(widths)):
        widths[widths.index(max(widths))] -= 1
    return widths


def fit_column(column: Column, texts: list[Text], width: int, table: Table) -> Column:
    """Return a column of this width, in which longer words are split."""
    split: list[RenderableType] = [split_words(text, width) for text in texts]
    header = split.pop(0) if table.show_header else column.header
    return replace(column, header=header, width=width, min_width=None, _cells=split)


def split_words(text: Text, width: int) -> Text:
    """Split words that are longer than `width` over several lines, after punctuation where there is some."""
    splits = []
    for match in re.finditer(r"\S+", text.plain):
        start, end = match.span()
        while end - start > 1 and cell_len(text.plain[start:end]) > width:
            start += split_length(text.plain[start:end], width)
            splits.append(start)
    return Text("\n").join(text.divide(splits)) if splits else text


def split_length(word: str, width: int) -> int:
    """Return how many characters of a word to put on a line of `width`, at least one: a wide one may not fit."""
    fitting = chop_cells(word, width)[0]
    for characters in BREAKS:
        if position := 1 + max(map(fitting.rfind, characters)):
            return position
    return max(1, len(fitting))


def stack_cells(table: Table) -> Table:
    """Return the table with the cells of each row stacked, each next to its column header."""
    rows = Table(title=table.title, caption=table.caption, show_header=False, title_justify="left")
    rows.caption_justify = table.caption_justify
    rows.add_column(style="bold")
    rows.add_column()
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            if cell != "":
                rows.add_row(column.header, cell)
        rows.add_section()
    return rows
