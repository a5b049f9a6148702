"""`ganbench leaderboard`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ganbench.errors import UsageError

from .console import AsJson, err, given_path, out, print_json, print_text


class Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


def leaderboard(
    directories: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...",
            parser=given_path,
            help="Run directories, suite folders, result.json files, or folders of these.",
        ),
    ],
    by: Annotated[
        str | None, typer.Option(metavar="METRIC", help="Metric to rank by: its id, name or label; default: the first.")
    ] = None,
    style: Annotated[Format, typer.Option("--format", help="How to write the tables.")] = Format.TABLE,
    as_json: AsJson = False,
) -> None:
    """Rank runs over seeds: means, intervals and paired tests, within one protocol. Has no pass/fail criterion."""
    from ganbench.results.leaderboard import make_leaderboards
    from ganbench.results.run_collection import find_runs

    from .leaderboard_formats import to_csv, to_latex, to_markdown
    from .leaderboard_json import LeaderboardRecord
    from .leaderboard_tables import data_notices, notes, print_leaderboards

    if as_json and style != Format.TABLE:
        raise UsageError(f"--format {style} has no effect with --json: leave one of them out")
    boards = make_leaderboards(find_runs(directories), by)
    if as_json:
        print_json([LeaderboardRecord.of(board).model_dump(mode="json") for board in boards])
    elif style == Format.TABLE:
        print_leaderboards(out, boards)
    else:
        write = {Format.MARKDOWN: to_markdown, Format.LATEX: to_latex}
        out.file.write(to_csv(boards) if style == Format.CSV else "\n".join(map(write[style], boards)))
        for note in (*data_notices(boards), *(note for board in boards for note in notes(board))):
            print_text(err, note)
