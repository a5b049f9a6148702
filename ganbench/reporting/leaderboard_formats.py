"""Leaderboards as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io

from ganbench.results.leaderboard import Leaderboard

from .leaderboard_tables import HEADER, rows, title

LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"$\sim$", "^": r"\^{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$",
})  # fmt: skip


def to_csv(board: Leaderboard) -> str:
    """Return one line per row, with full precision and a column for each number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["metric", "rank", "row", "seeds", "mean", "deviation", "low", "high", "best", "images_per_second",
         "disturbed", "diverged", "failed", "interrupted", "unfinished"]
    )  # fmt: skip
    for rank, row in zip(board.ranks, board.rows, strict=True):
        low, high = (row.summary and row.summary.interval) or (None, None)
        numbers = [row.summary.mean, row.summary.deviation, low, high] if row.summary else [None, None, None, None]
        ends = [row.statuses.get(status, 0) for status in ("diverged", "failed", "interrupted", "unfinished")]
        best = row.best.mean if row.best else None
        writer.writerow(
            [board.metric, rank, row.label, len(row.last), *numbers, best, row.images_per_second, row.disturbed, *ends]
        )
    return text.getvalue()


def to_markdown(board: Leaderboard) -> str:
    lines = [f"**{title(board)}**", "", markdown_row(HEADER), "|---" * len(HEADER) + "|"]
    return "\n".join([*lines, *map(markdown_row, rows(board))]) + "\n"


def markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def to_latex(board: Leaderboard) -> str:
    """Return a tabular environment with rules of the package booktabs."""
    body = [" & ".join(cell.translate(LATEX) for cell in cells) + r" \\" for cells in rows(board)]
    head = " & ".join(cell.translate(LATEX) for cell in HEADER) + r" \\"
    lines = [f"% {title(board)}", r"\begin{tabular}{rlrrrrr}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"
