"""Results side by side for people, as rich tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.results.comparison import Comparison, Figure
from ganbench.results.schema import Result

from .formatting import mebibytes, number


def comparison_tables(comparison: Comparison, names: list[str]) -> Iterable[Table]:
    """What each result is, its figures, and where they differ; `names` are the columns' heads."""
    yield what_table(comparison.results, names)
    for title, figures in (
        ("Speed and memory", comparison.speed),
        ("Losses of the last epoch", comparison.losses),
        ("Scores at the end", comparison.metrics),
    ):
        told = [figure for figure in figures if any(value is not None for value in figure.values)]
        if told:
            yield figures_table(title, told, names)
    for title, fields in comparison.differences.items():
        if fields:
            yield differences_table(f"Differences: {title}", fields, names)


def what_table(results: Iterable[Result], names: list[str]) -> Table:
    """Which benchmark each result is of, how it ended and when."""
    table = titled("Results", names)
    rows: dict[str, list[str]] = {
        "benchmark": [result.benchmark for result in results],
        "status": [result.status for result in results],
        "ended by": [result.message or "" for result in results],
        "begun": [f"{result.created_at:%Y-%m-%d %H:%M} UTC" for result in results],
        "epochs": [f"{sum(row.images for row in r.history) / r.data.train_images:.3g}" for r in results],
        "device": [str(result.environment.must_match.get("device", "")) for result in results],
        "disturbed": [result.throughput.disturbed_by or "" for result in results],
    }
    for name, cells in rows.items():
        if any(cells):
            table.add_row(name, *(escape(cell) for cell in cells))
    return table


def figures_table(title: str, figures: Iterable[Figure], names: list[str]) -> Table:
    """A row a figure: the best is bold where ranking is allowed, and where it is not, a line says why."""
    table = titled(title, names)
    for figure in figures:
        table.add_row(
            escape(figure.name.removesuffix(", bytes")), *(cell(figure, position) for position in range(len(names)))
        )
        if any(figure.spreads):
            table.add_row("  p10 to p90", *(spread_cell(figure, position) for position in range(len(names))))
        if figure.doubtful:
            table.add_row(Text("  not ranked: a result was disturbed", style="dim"))
        if figure.differing_fields and figure.better is not None:
            fields = ", ".join(figure.differing_fields)
            table.add_row(
                Text(f"  not ranked: {fields} differ{'s' * (len(figure.differing_fields) == 1)}", style="dim")
            )
        elif figure.software:
            fields = ", ".join(figure.software)
            table.add_row(Text(f"  ranked across software: {fields} differ{'s' * (len(figure.software) == 1)}", "dim"))
    return table


def cell(figure: Figure, position: int) -> Text:
    """A value, and how many times the first one it is."""
    value, ratio = figure.values[position], figure.ratio(position)
    text = "none" if value is None else formatted(figure.name, value)
    if ratio is not None and position:
        text += f" (x {ratio:.3f})"
    return Text(text, style="bold" if figure.best == position else "")


def spread_cell(figure: Figure, position: int) -> str:
    """Between what and what the value lay for most of the run, and the same of its ratio."""
    spread, ratio = figure.spreads[position], figure.ratio_spread(position)
    if spread is None:
        return "none"
    text = " to ".join(formatted(figure.name, value) for value in spread)
    if ratio is None or not position:
        return text
    overlap = ", overlapping" if figure.overlap(0, position) else ""
    return f"{text} (x {ratio[0]:.3f} to {ratio[1]:.3f}{overlap})"


def formatted(name: str, value: float) -> str:
    if name.endswith("bytes"):
        return mebibytes(int(value))
    return f"{value:,.0f}" if name == "images/s" else number(value)


def differences_table(title: str, fields: dict[str, tuple[Any, ...]], names: list[str]) -> Table:
    table = titled(title, names)
    for field, values in fields.items():
        table.add_row(escape(field), *("none" if value is None else escape(str(value)) for value in values))
    return table


def titled(title: str, names: list[str]) -> Table:
    return Table("", *(escape(name) for name in names), title=title, title_justify="left")
