"""Results side by side for people, as rich tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.results.comparison import Comparison, Quantity
from ganbench.results.result import Result

from .tables import mebibytes, number


def comparison_tables(comparison: Comparison, names: list[str]) -> Iterable[Table]:
    """What each result is, its quantities, and where they differ; `names` are the columns' heads."""
    yield what_table(comparison.results, names)
    for title, quantities in (
        ("Speed and memory", comparison.speed),
        ("Losses of the last epoch", comparison.losses),
        ("Scores at the end", comparison.metrics),
    ):
        told = [quantity for quantity in quantities if any(value is not None for value in quantity.values)]
        if told:
            yield quantities_table(title, told, names)
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


def quantities_table(title: str, quantities: Iterable[Quantity], names: list[str]) -> Table:
    """A row a quantity: the best is bold where ranking is allowed, and where it is not, a line says why."""
    table = titled(title, names)
    for quantity in quantities:
        table.add_row(
            escape(quantity.name.removesuffix(", bytes")), *(cell(quantity, position) for position in range(len(names)))
        )
        if any(quantity.spreads):
            table.add_row("  p10 to p90", *(spread_cell(quantity, position) for position in range(len(names))))
        if quantity.doubtful:
            table.add_row(Text("  not ranked: a result was disturbed", style="dim"))
        if quantity.differing_fields and quantity.better is not None:
            fields = ", ".join(quantity.differing_fields)
            table.add_row(
                Text(f"  not ranked: {fields} differ{'s' * (len(quantity.differing_fields) == 1)}", style="dim")
            )
        elif quantity.software:
            fields = ", ".join(quantity.software)
            table.add_row(
                Text(f"  ranked across software: {fields} differ{'s' * (len(quantity.software) == 1)}", "dim")
            )
    return table


def cell(quantity: Quantity, position: int) -> Text:
    """A value, and how many times the first one it is."""
    value, ratio = quantity.values[position], quantity.ratio(position)
    text = "none" if value is None else formatted(quantity.name, value)
    if ratio is not None and position:
        text += f" (x {ratio:.3f})"
    return Text(text, style="bold" if quantity.best == position else "")


def spread_cell(quantity: Quantity, position: int) -> str:
    """Between what and what the value lay for most of the run, and the same of its ratio."""
    spread, ratio = quantity.spreads[position], quantity.ratio_spread(position)
    if spread is None:
        return "none"
    text = " to ".join(formatted(quantity.name, value) for value in spread)
    if ratio is None or not position:
        return text
    overlap = ", overlapping" if quantity.overlap(0, position) else ""
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
