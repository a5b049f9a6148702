"""Leaderboards as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from ganbench.results.leaderboard import Leaderboard
from ganbench.results.leaderboard_rows import field_text

from .console import printable
from .leaderboard_tables import HEADER, rows, title

CSV_HEADER = (
    "metric", "protocol", "rank", "row", "seeds", "mean", "std", "low", "high", "best", "images_per_second",
    "disturbed", "diverged", "failed", "interrupted", "unfinished", "not_finite", "other_protocol", "ended_early",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # at the beginning of a text, which a spreadsheet would then evaluate
MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|"})
LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"$\sim$", "^": r"\^{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$",
})  # fmt: skip


def to_csv(boards: Iterable[Leaderboard]) -> str:
    """Return one line per row of each leaderboard, with full precision and a column for each number.

    The column `protocol` has the fields in which the protocols of several leaderboards differ.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for board in boards:
        protocol = ", ".join(field_text(*field) for field in board.distinctive.items())
        for rank, row in zip(board.ranks, board.rows, strict=True):
            low, high = (row.summary and row.summary.interval) or (None, None)
            mean, std = (row.summary.mean, row.summary.std) if row.summary else (None, None)
            best = row.best.mean if row.best else None
            ends = [row.statuses.get(status, 0) for status in ("diverged", "failed", "interrupted", "unfinished")]
            writer.writerow(
                [plain(board.metric), plain(protocol), rank, plain(row.label), len(row.last), mean, std, low,
                 high, best, row.images_per_second, row.disturbed, *ends, row.not_finite, row.other_protocol,
                 row.ended_early]
            )  # fmt: skip
    return text.getvalue()


def plain(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def one_line(text: str) -> str:
    """Return text without line breaks and control characters, which would end a row or a comment."""
    return printable(" ".join(text.split()))


def to_markdown(board: Leaderboard) -> str:
    head = f"**{markdown(title(board))}**"
    lines = [head, "", markdown_row(HEADER), "|---" * len(HEADER) + "|", *map(markdown_row, rows(board))]
    return "\n".join(lines) + "\n"


def markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(markdown, cells))} |"


def markdown(text: str) -> str:
    return one_line(text).translate(MARKDOWN)


def to_latex(board: Leaderboard) -> str:
    """Return a tabular environment with rules of the package booktabs."""
    return "\n".join([
        f"% {one_line(title(board))}",
        r"\begin{tabular}{rlrrrrr}",
        r"\toprule",
        latex_row(HEADER),
        r"\midrule",
        *map(latex_row, rows(board)),
        r"\bottomrule",
        r"\end{tabular}",
    ]) + "\n"  # fmt: skip


def latex_row(cells: Iterable[str]) -> str:
    return " & ".join(one_line(cell).translate(LATEX) for cell in cells) + r" \\"
