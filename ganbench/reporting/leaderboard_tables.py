"""Leaderboards on a terminal, with the notes that say how far they can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganbench.reporting.console import print_text
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.leaderboard import Leaderboard, Row, RowComparison, make_leaderboards, ranked_labels
from ganbench.results.leaderboard_rows import field_text
from ganbench.results.run_collection import find_runs
from ganbench.results.statistics import MAX_SEEDS, POWER, Summary

from .formatting import number, speed, with_owners

HEADER = ("Rank", "Row", "Seeds", "Mean ± SD", "95% CI", "Best in run", "images/s")
SHOWN_NOTES = 10  # of one kind


def print_leaderboards(console: Console, boards: Sequence[Leaderboard]) -> None:
    for board in boards:
        console.print(leaderboard_table(board))
        for note in notes(board):
            print_text(console, note)
    print_difference(console, boards)
    for notice in data_notices(boards):
        print_text(console, notice)


def print_difference(console: Console, boards: Sequence[Leaderboard]) -> None:
    """Print why there are several leaderboards of one score, if there are."""
    if len(boards) > 1:
        fields = ", ".join(differing_fields(flatten(board.protocol) for board in boards)) or "the metrics"
        text = f"{len(boards)} tables, because scores of different protocols are not comparable: {fields} differ"
        print_text(console, text)


def print_leaderboards_of(console: Console, folder: Path) -> None:
    """Print the leaderboards of the runs in a folder, if any of them has scores."""
    runs = find_runs([folder])
    if ranked_labels(runs):
        print_leaderboards(console, make_leaderboards(runs))


def print_leaderboards_by_score(console: Console, folder: Path) -> None:
    """Print the leaderboards of the runs in a folder for each score, if any of them has scores."""
    runs = find_runs([folder])
    by_score = [make_leaderboards(runs, label) for label in ranked_labels(runs)]
    for boards in by_score:
        for board in boards:
            console.print(leaderboard_table(board))
        print_difference(console, boards)
    notes_of_all = chain.from_iterable(map(notes, chain(*by_score)))
    for text in dict.fromkeys([*notes_of_all, *data_notices(chain(*by_score))]):  # most are about runs, not scores
        print_text(console, text)


def leaderboard_table(board: Leaderboard) -> Table:
    table = Table(*HEADER, title=escape(title(board)), title_justify="left")
    for cells in rows(board):
        table.add_row(*map(escape, cells))
    return table


def title(board: Leaderboard) -> str:
    """Return the metric, its direction, and its protocol as far as it differs from those of other leaderboards."""
    direction = f"{'higher' if board.higher_is_better else 'lower'} is better"
    return ", ".join([board.metric, direction, *(field_text(*field) for field in board.distinctive.items())])


def rows(board: Leaderboard) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row as text, in the order of `HEADER`."""
    for rank, row in zip(board.ranks, board.rows, strict=True):
        yield (
            "" if rank is None else str(rank),
            row.label,
            seeds_cell(row),
            mean_cell(row.summary),
            interval_cell(row.summary),
            mean_cell(row.best),
            speed_cell(board, row),
        )


def seeds_cell(row: Row) -> str:
    """Format how many runs have a score, and how many have none, by how they ended."""
    counts = {
        **row.statuses,
        "completed": 0,
        "not finite": row.not_finite,
        "of another protocol": row.other_protocol,
    }
    others = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"{len(row.last)} ({others})" if others else str(len(row.last))


def mean_cell(summary: Summary | None) -> str:
    if summary is None:
        return "none"
    return number(summary.mean) + ("" if summary.std is None else f" ± {number(summary.std)}")


def interval_cell(summary: Summary | None) -> str:
    if summary is None or summary.interval is None:
        return ""
    low, high = summary.interval
    return f"{number(low)} to {number(high)}"


def speed_cell(board: Leaderboard, row: Row) -> str:
    if row.images_per_second is None:
        return ""
    return speed(row.images_per_second, row.disturbed or bool(board.speed_differences))


def notes(board: Leaderboard) -> Iterator[str]:
    """Yield what a reader must know: pairs that do not differ significantly, and what else differs between the rows."""
    alike = [pair for pair in board.comparisons if not pair.significant]
    for pair in alike[:SHOWN_NOTES]:
        yield pair_note(board, pair)
    if (more := len(alike) - SHOWN_NOTES) > 0:
        yield f"not significantly different: {more} more pair{'s' * (more != 1)}"
    if untested := board.untested_pairs:
        yield f"not tested: {untested} pair{'s' * (untested != 1)} of rows with fewer than two common seeds"
    if any(row.without_score for row in board.rows):
        yield "means are of the runs with a score: a row in which others diverged or failed looks better than it is"
    if ended_early := sum(row.ended_early for row in board.rows):
        yield (
            f"{ended_early} run{'s' * (ended_early != 1)} ended before the end of the schedule (budget or target): the "
            "runs may have trained for different lengths"
        )
    warned = warnings(board)
    yield from warned[:SHOWN_NOTES]
    if (more := len(warned) - SHOWN_NOTES) > 0:
        yield f"{more} more warning{'s' * (more != 1)} about scores; see result.json"
    if board.has_partial_tests:
        yield "rows have different seeds: means are over all seeds of a row, tests only over those that two rows share"
    if repeats := sum(row.repeats for row in board.rows):
        yield f"not counted: {repeats} run{'s' * (repeats != 1)} with the settings and the seed of another"
    if software := board.software_differences:
        yield f"ranked although the software differs: {', '.join(software)}"
    if any(row.disturbed for row in board.rows):
        yield "~ speeds are not comparable: other work ran on the machine"
    if conditions := board.speed_differences:
        yield f"~ speeds are not comparable: {', '.join(conditions)} differ"


def data_notices(boards: Iterable[Leaderboard]) -> list[str]:
    """Return what the scored runs say about their data, each once, with the rows that it concerns unless all do."""
    found: dict[str, list[str]] = {}
    for row in (row for board in boards for row in board.rows if row.scores):
        found.setdefault(row.label, []).extend(each.data.notice for each in row.results if each.data.notice)
    return with_owners(list(found.items()))


def warnings(board: Leaderboard) -> list[str]:
    """Return the warnings about the scores, with the rows and seeds that they concern."""
    rows = [row for row in board.rows if row.scores]
    return with_owners(
        [
            (row.label, with_owners([(f"seed {seed}", score.warnings) for seed, score in sorted(row.scores.items())]))
            for row in rows
        ]
    )


def pair_note(board: Leaderboard, pair: RowComparison) -> str:
    first, second = (board.rows[position].label for position in pair.rows)
    seeds = pair.seeds_needed
    needed = f"more than {MAX_SEEDS:,} seeds" if seeds is None else f"about {seeds} seeds"
    return (
        f"not significantly different: {first} and {second} (p = {pair.difference.p_value:.2g}, Holm-corrected level "
        f"{pair.level:.2g}); with {needed}, the test would have {POWER:.0%} power to detect a difference of this size"
    )
