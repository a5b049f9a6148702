"""The tables of a finished run: losses, speed, scores and references."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganbench.reporting.console import print_text
from ganbench.results.layout import RESULT
from ganbench.results.schema import (
    LOSS_COLUMNS,
    EpochRow,
    MetricResult,
    ReferenceResult,
    Result,
    epochs_text,
    metric_titles,
    monitor_names,
)
from ganbench.results.throughput import rate_text

from .formatting import (
    column_title,
    format_verdict,
    number,
    run_command,
    with_owners,
)
from .speed_tables import profile_table, speed_table
from .target_tables import targets_table
from .trackers.fan_out import read_tracked_runs

MAX_EPOCH_ROWS = 60  # show a longer history at intervals
MAX_MONITORS = 4


def show_result(console: Console, result: Result, directory: Path) -> None:
    """Print the tables of a finished run and the location of its files."""
    if result.data.notice:
        console.print(f"\n[bold yellow]{escape(result.data.notice)}[/]")
    tables = [*loss_tables(console, result.history), speed_table(result)]
    if result.profile:
        tables.append(profile_table(result.profile))
    if result.metrics:
        tables += [metrics_table(result), protocols_table(result.metrics)]
    if result.targets:
        tables.append(targets_table(result.targets))
    if result.references:
        tables.append(references_table(result.references))
    for table in tables:
        console.print()
        console.print(table)
    console.print(f"\n{format_outcome(result.status, result.message)}", highlight=False)
    files = ", ".join([RESULT, *result.artifacts.values()])
    console.print(f"files in [bold]{escape(str(directory))}[/]: {escape(files)}", highlight=False)
    for name, run in read_tracked_runs(directory).items():
        where = f"{run.id}, {run.url}" if run.url else run.id
        print_text(console, f"tracker {name}: {where}")
    if result.status == "interrupted":
        command = run_command("--resume", str(directory), processes=result.throughput.processes)
        print_text(console, f"resume with: {command}")


def format_outcome(status: str, message: str | None) -> str:
    """Format the status and message of a run, without repeating the status."""
    if message is None or message.startswith(status):
        return f"[bold]{escape(message or status)}[/]"
    return f"[bold]{status}[/]: {escape(message)}"


def loss_tables(console: Console, history: list[EpochRow]) -> list[Table]:
    """Return the loss table with as many monitors as fit on the console; no table if training did not start."""
    if not history:
        return []
    for shown in range(MAX_MONITORS, 0, -1):
        table = history_table(history, shown)
        if console.measure(table, options=console.options.update_width(1000)).maximum <= console.width:
            return [table]
    return [history_table(history, 0)]


def history_table(history: list[EpochRow], shown_monitors: int) -> Table:
    """Show losses and monitors per epoch."""
    monitors = monitor_names(history)
    columns = [*LOSS_COLUMNS, *monitors[:shown_monitors]]
    every = -(-len(history) // MAX_EPOCH_ROWS)
    table = Table(
        "Epoch", *(column_title(column) for column in columns), "Images/s", title="Losses", title_justify="left"
    )
    if every > 1 or len(monitors) > shown_monitors:
        table.caption = "all epochs and monitors are in history.csv"
    for row in history[::-every][::-1]:  # always include the last epoch
        values = row.losses
        table.add_row(
            str(row.epoch), *(number(values.get(column)) for column in columns), rate_text(row.images_per_second)
        )
    return _align_right(table)


def metrics_table(result: Result) -> Table:
    """Show the final and best scores of each metric, those of real data if there are any, and all scores by epoch.

    Without training, there is a single score.
    """
    metrics = result.metrics
    has_real_data = any(metric.real_data_samples for metric in metrics)
    columns = [
        "Metric",
        *(["Final", "Best"] if result.was_trained else ["Score"]),
        *(["Real data"] if has_real_data else []),
    ]
    columns += ["By epoch"] if result.was_trained else []
    table = Table(*columns, title="Scores", title_justify="left")
    titles = metric_titles(metrics)
    for metric in metrics:
        curve = "  ".join(f"{epochs_text(point.epoch)}: {number(point.value)}" for point in metric.curve)
        best = f"{number(metric.best.value)} (epoch {epochs_text(metric.best.epoch)})" if metric.best else ""
        final = result.why_missing(metric) if metric.value is None else number(metric.value)
        row = [escape(titles[metric.id]), final, *([best] if result.was_trained else [])]
        if has_real_data:
            images = f"{number(metric.real_data_score)} ({metric.real_data_samples:,} images)"
            row.append(images if metric.real_data_samples else "")
        table.add_row(*row, *([curve] if result.was_trained else []))
    if notes := with_owners([(titles[metric.id], metric.warnings) for metric in metrics]):
        table.caption = escape("\n".join(notes))
        table.caption_justify = "left"
    return table


def protocols_table(metrics: list[MetricResult]) -> Table:
    """Show the protocol and software of each score; only scores with equal protocols are comparable."""
    titles = metric_titles(metrics).values()
    table = Table("", *map(escape, titles), title="Evaluation protocol and software", title_justify="left")
    for part in ("protocol", "software"):
        fields = [getattr(metric, part) for metric in metrics]
        for name in dict.fromkeys(name for field in fields for name in field):
            table.add_row(escape(name), *(escape(str(field.get(name, ""))) for field in fields))
        table.add_section()
    return table


def references_table(references: list[ReferenceResult]) -> Table:
    """Show whether the run reproduces the reference scores, and what else is known about them."""
    table = Table("Reference", "Score", "Band", "This run", "Verdict", title="Reference scores", title_justify="left")
    for reference in references:
        spread = "" if reference.std is None else f" ± {reference.std:g}"
        table.add_row(
            escape(f"{reference.label}: {reference.metric}"),
            f"{reference.value:g}{spread}",
            f"± {reference.band:g}",
            "none" if reference.measured is None else number(reference.measured),
            escape(format_verdict(reference)),
        )
    lines = [f"{each.label}: {each.source}{f'. {each.note}' if each.note else ''}" for each in references]
    table.caption = escape("\n".join(dict.fromkeys(lines)))
    table.caption_justify = "left"
    return table


def _align_right(table: Table) -> Table:
    for column in table.columns:
        column.justify = "right"
    return table
