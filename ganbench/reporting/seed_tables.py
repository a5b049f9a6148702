"""Tables of runs that differ only in their seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganbench.errors import GanbenchError
from ganbench.results.schema import LOSS_COLUMNS, Result, metric_titles

from .console import print_error, print_text
from .formatting import column_title, number, run_command, speed
from .leaderboard_tables import print_leaderboards_by_score


def show_seeds(
    console: Console, outcomes: Mapping[Path, Result | GanbenchError], not_started: Sequence[Path], folder: Path
) -> None:
    """Print how each run ended, their leaderboards, and where their files are.

    `outcomes` are the results and errors by run directory, and `not_started` the directories of the other runs; all are
    in `folder`.
    """
    results = {run: outcome for run, outcome in outcomes.items() if isinstance(outcome, Result)}
    console.print()
    if results:
        console.print(seeds_table(results))
        print_leaderboards_by_score(console, folder)
    for run, outcome in outcomes.items():
        if isinstance(outcome, GanbenchError):
            print_error(f"{run.name}: {outcome}", console)
        elif outcome.status == "interrupted":
            command = run_command("--resume", str(run), processes=outcome.throughput.processes)
            print_text(console, f"{run.name} was interrupted; resume with: {command}")
    if not_started:
        print_text(console, f"not started: {', '.join(run.name for run in not_started)}")
    print_text(console, f"files in {folder}")


def seeds_table(results: Mapping[Path, Result]) -> Table:
    """Show the last losses, the final scores and the speed of each run."""
    titles: dict[str, str] = {}
    for result in results.values():
        titles |= metric_titles(result.metrics)
    columns = [*map(column_title, LOSS_COLUMNS), *map(escape, titles.values()), "Images/s"]
    table = Table("Run", "Status", title="Seeds", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for run, result in results.items():
        last = result.history[-1].losses if result.history else {}
        scores = {metric.id: metric.value for metric in result.metrics}
        throughput = result.throughput
        rate = throughput.mean_images_per_second
        table.add_row(
            escape(run.name),
            result.status,
            *(number(last[name]) if name in last else "" for name in LOSS_COLUMNS),
            *(number(scores[name]) if scores.get(name) is not None else "" for name in titles),
            speed(rate, throughput.disturbed) if rate else "",
        )
    if any(result.throughput.disturbed for result in results.values()):
        table.caption, table.caption_justify = "~ other work ran on the machine, so the speed is unreliable", "left"
    return table
