"""Tables of the training that it took to reach targets, of one run and of several side by side."""

from __future__ import annotations

from collections.abc import Iterable

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.results.target import Evaluation, TargetResult
from ganbench.results.target_comparison import UNITS, TargetComparison, Unit

from .formatting import number

TITLE = "Time to target"
ROWS: dict[Unit, str] = {"images": "  images", "seconds": "  seconds of training", "joules": "  energy"}


def targets_table(targets: Iterable[TargetResult]) -> Table:
    """Show between which two scores each target was reached, with the training until both."""
    table = Table("Target", "Reached", "Training time", "Energy", title=TITLE, title_justify="left")
    for target in targets:
        stop = ", then stop" if target.stop else ""
        table.add_row(escape(f"{target}{stop}"), *(span(target, unit) for unit in UNITS))
    return table


def target_comparison_table(comparisons: Iterable[TargetComparison], names: list[str]) -> Table:
    """Show each target with one row per unit: the result that certainly took least is bold."""
    table = Table("", *(escape(name) for name in names), title=TITLE, title_justify="left")
    for comparison in comparisons:
        table.add_row(escape(comparison.title))
        for unit in UNITS:
            cells = ["none" if time is None else span(time, unit) for time in comparison.times]
            if not any(cells):
                continue
            best = comparison.best(unit)
            table.add_row(ROWS[unit], *(Text(cell, "bold" if n == best else "") for n, cell in enumerate(cells)))
            if reasons := comparison.obstacles(unit):
                table.add_row(Text(f"    not ranked: {', '.join(reasons)}", "dim"))
        if software := comparison.scores.software:
            table.add_row(Text(f"  ranked although the software differs: {', '.join(software)}", "dim"))
    return table


def span(target: TargetResult, unit: Unit) -> str:
    """Format between which two scores a target was reached; empty if the unit was not measured."""
    missed, reached = (text(evaluation, unit) for evaluation in (target.missed, target.reached))
    if reached and missed:
        return f"between {missed} and {reached}"
    if reached:
        return f"by {reached}"
    if unit == "images":
        return f"not reached by {missed}" if missed else "never scored"
    return f"not reached in {missed}" if missed else ""


def text(evaluation: Evaluation | None, unit: Unit) -> str:
    """Format the training until a score; with the score, if the unit is images. Empty if there is nothing to show."""
    if evaluation is None:
        return ""
    if unit == "images":
        return f"{evaluation.images:,} images ({number(evaluation.value)})"
    if unit == "seconds":
        return f"{evaluation.seconds:,.1f} s"
    return "" if evaluation.joules is None else f"{evaluation.joules:,.0f} J"
