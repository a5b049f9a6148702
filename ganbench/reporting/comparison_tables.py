"""Tables of results side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.results.comparison import Comparison, Quantity
from ganbench.results.schema import Result, epochs_text
from ganbench.results.throughput import rate_text

from .formatting import format_verdict, mebibytes, number, with_owners
from .target_tables import target_comparison_table


def comparison_tables(comparison: Comparison, names: list[str]) -> Iterable[Table]:
    """Yield tables of the results, their quantities and their differences; `names` are the column headers."""
    overview = overview_table(comparison.results, names)
    if notices := data_notices(comparison.results, names):
        overview.caption, overview.caption_justify = escape("\n".join(notices)), "left"
    yield overview
    for title, quantities in (
        ("Speed and memory", comparison.speed),
        ("Losses in the last epoch", comparison.losses),
        ("Final scores", comparison.metrics),
    ):
        present = [quantity for quantity in quantities if any(value is not None for value in quantity.values)]
        if present:
            yield quantities_table(title, present, names)
    if comparison.targets:
        yield target_comparison_table(comparison.targets, names)
    if any(result.references for result in comparison.results):
        yield references_table(comparison.results, names)
    for title, fields in comparison.differences.items():
        if fields:
            yield differences_table(f"Differences: {title}", fields, names)


def data_notices(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """Return what results say about their data, each once, with the names of the results unless it is about all."""
    return with_owners([(name, filter(None, [each.data.notice])) for name, each in zip(names, results, strict=True)])


def overview_table(results: Iterable[Result], names: list[str]) -> Table:
    """Show each result's benchmark, how and when it ran, and how it ended."""
    table = make_table("Results", names)
    rows: dict[str, list[str]] = {
        "benchmark": [result.benchmark for result in results],
        "status": [result.status for result in results],
        "message": [result.message or "" for result in results],
        "started": [f"{result.created_at:%Y-%m-%d %H:%M} UTC" for result in results],
        "epochs": [epochs_text(result.epochs) for result in results],
        "device": [str(result.environment.must_match.get("device", "")) for result in results],
        "disturbed": [result.throughput.disturbed_by or "" for result in results],
    }
    for name, cells in rows.items():
        if any(cells):
            table.add_row(name, *(escape(cell) for cell in cells))
    return table


def quantities_table(title: str, quantities: Sequence[Quantity], names: list[str]) -> Table:
    """Show one quantity per row: the best value is bold, or a line gives the reason why it is not ranked."""
    table = make_table(title, names)
    for quantity in quantities:
        table.add_row(
            escape(quantity.name.removesuffix(", bytes")), *(cell(quantity, position) for position in range(len(names)))
        )
        if any(quantity.spreads):
            table.add_row("  p10 to p90", *(spread_cell(quantity, position) for position in range(len(names))))
        if quantity.disturbed:
            table.add_row(Text("  not ranked: a result was disturbed", style="dim"))
        if quantity.differing_fields and quantity.better is not None:
            fields = ", ".join(quantity.differing_fields)
            table.add_row(
                Text(f"  not ranked: {fields} differ{'s' * (len(quantity.differing_fields) == 1)}", style="dim")
            )
        elif quantity.software and quantity.better is not None:
            fields = ", ".join(quantity.software)
            table.add_row(Text(f"  ranked although the software differs: {fields}", "dim"))
    if notes := warnings(quantities, names):
        table.caption, table.caption_justify = escape("\n".join(notes)), "left"
    return table


def warnings(quantities: Sequence[Quantity], names: Sequence[str]) -> list[str]:
    """Return the warnings about all values, with the quantities and the results that they concern."""
    return with_owners([(quantity.name, with_owners(warnings_by_result(quantity, names))) for quantity in quantities])


def warnings_by_result(quantity: Quantity, names: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    """Return the warnings of each result that has the quantity, by the result's name."""
    if not quantity.warnings:
        return []
    return [(name, own) for name, own in zip(names, quantity.warnings, strict=True) if own is not None]


def cell(quantity: Quantity, position: int) -> Text:
    """Format a value and its ratio to the first one."""
    value, ratio = quantity.values[position], quantity.ratio(position)
    text = "none" if value is None else format_value(quantity.name, value)
    if ratio is not None and position:
        text += f" (x {ratio:.3f})"
    return Text(text, style="bold" if quantity.best == position else "")


def spread_cell(quantity: Quantity, position: int) -> str:
    """Format the p10 to p90 range of a value, and the range of its ratio to the first one."""
    spread, ratio = quantity.spreads[position], quantity.ratio_spread(position)
    if spread is None:
        return "none"
    text = " to ".join(format_value(quantity.name, value) for value in spread)
    if ratio is None or not position:
        return text
    overlap = ", overlapping" if quantity.overlaps(0, position) else ""
    return f"{text} (x {ratio[0]:.3f} to {ratio[1]:.3f}{overlap})"


def format_value(name: str, value: float) -> str:
    if name.endswith("bytes"):
        return mebibytes(int(value))
    return rate_text(value) if name == "images/s" else number(value)


def references_table(results: Iterable[Result], names: list[str]) -> Table:
    """Show which reference scores each result reproduces."""
    verdicts = [
        {
            f"{each.label}: {each.metric} {each.value:g} ± {each.band:g}": format_verdict(each)
            for each in result.references
        }
        for result in results
    ]
    table = make_table("Reference scores", names)
    for row in dict.fromkeys(row for column in verdicts for row in column):
        table.add_row(escape(row), *(escape(column.get(row, "")) for column in verdicts))
    return table


def differences_table(title: str, fields: dict[str, tuple[Any, ...]], names: list[str]) -> Table:
    table = make_table(title, names)
    for field, values in fields.items():
        table.add_row(escape(field), *("none" if value is None else escape(str(value)) for value in values))
    return table


def make_table(title: str, names: list[str]) -> Table:
    return Table("", *(escape(name) for name in names), title=title, title_justify="left")
