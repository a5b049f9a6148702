"""The leaderboards of suites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ganbench.reporting import leaderboard_tables
from ganbench.results.leaderboard import Leaderboard, make_leaderboards, ranked_labels
from ganbench.results.run_collection import find_runs

from .scores import protocol_line
from .tables import PageRow, PageTable


def leaderboards(paths: Sequence[Path]) -> Iterator[PageTable]:
    """Yield the leaderboards of all runs in these paths for each score.

    Runs of a suite that have no result are counted in their rows.
    """
    runs = find_runs(paths)
    for label in ranked_labels(runs):
        yield from map(to_table, make_leaderboards(runs, label))


def to_table(board: Leaderboard) -> PageTable:
    """Return a leaderboard with the rows as headers, to be sorted by any column."""
    rank, label, *others = leaderboard_tables.HEADER
    rows = [PageRow(label, [rank, *cells]) for rank, label, *cells in leaderboard_tables.rows(board)]
    notes = [protocol_line(board.protocol, {}), *leaderboard_tables.notes(board)]
    return PageTable(leaderboard_tables.title(board), [label, rank, *others], rows, notes, sortable=True)
