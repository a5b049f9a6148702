"""Comparisons and verdicts for people, as rich tables."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.report import mebibytes, number
from ganbench.result import Result

from .baseline import ENOUGH_SESSIONS, Baseline
from .check import Check, phase_seconds
from .comparison import Comparison, Figure
from .outputs import sentences
from .verdict import Finding, Verdict

STYLES = {Verdict.PASS: "bold green", Verdict.INCONCLUSIVE: "bold yellow", Verdict.REGRESSED: "bold red"}


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
        "device": [str(result.environment.hard.get("device", "")) for result in results],
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
        if figure.differing and figure.better is not None:
            fields = ", ".join(figure.differing)
            table.add_row(Text(f"  not ranked: {fields} differ{'s' * (len(figure.differing) == 1)}", style="dim"))
    return table


def cell(figure: Figure, position: int) -> Text:
    """A value, and how many times the first one it is."""
    value, ratio = figure.values[position], figure.ratio(position)
    text = "none" if value is None else formatted(figure.name, value)
    if ratio is not None and position:
        text += f" (x {ratio:.3f})"
    return Text(text, style="bold" if figure.best == position else "")


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


def check_tables(check: Check) -> Iterable[Table]:
    """The verdict on each figure, which phase moved, and what differs beside."""
    yield findings_table(check)
    yield phases_table(check)
    for title, fields in check.differences.items():
        if fields:
            yield differences_table(f"Differences: {title}", fields, list(check.names))


def findings_table(check: Check) -> Table:
    """A row a figure: how much worse head is, between which bounds, and what would have been caught."""
    base, head = check.names
    table = Table("Figure", base, head, "Worse by", "Between", "Verdict", title="Check", title_justify="left")
    sessions = check.sessions
    told = {name: verdict for name, (verdict, _) in sentences(check).items()}
    rates = [
        f"{median(1 / s.seconds_per_image for s in side):,.0f} images/s" for side in (sessions.base, sessions.head)
    ]
    for name, finding in check.findings.items():
        between = f"{finding.lower:+.1%} and {finding.upper:+.1%}"
        verdict = verdict_text(finding, told[name])
        table.add_row(name, *map(escape, rates), f"{finding.effect:+.1%}", between, verdict)
    if check.memory:
        memory = check.memory
        text = Text(told["memory"].upper(), style=STYLES[told["memory"]])
        worse = f"{memory.head_bytes / memory.base_bytes - 1:+.1%}"
        table.add_row("memory", mebibytes(memory.base_bytes), mebibytes(memory.head_bytes), worse, "", text)
    return table


def verdict_text(finding: Finding, told: Verdict) -> Text:
    text = Text(told.upper(), style=STYLES[told])
    if told == Verdict.PASS:
        text.append(f": would have caught {finding.smallest_detectable:.1%}", style="not bold")
    return text


def baseline_table(name: str, baseline: Baseline) -> Table:
    """What a baseline holds: its conditions, and how its sessions scatter."""
    table = Table("", "", title=f"Baseline {escape(name)}", title_justify="left", show_header=False)
    rates = [1 / session.seconds_per_image for session in baseline.sessions]
    table.add_row("benchmark", escape(baseline.benchmark))
    table.add_row("sessions", f"{len(rates)}" + ("" if len(rates) >= ENOUGH_SESSIONS else ", too few to fail a build"))
    table.add_row("images/s", f"{median(rates):,.1f} (from {min(rates):,.1f} to {max(rates):,.1f})")
    first = baseline.sessions[0]
    for field, value in {**first.environment.hard, **first.stamp, **first.environment.soft}.items():
        table.add_row(escape(field), escape(str(value)))
    return table


def phases_table(check: Check) -> Table:
    """Time of each phase on both sides, in milliseconds per 1,000 images."""
    base, head = check.names
    table = Table("Phase, ms per 1,000 images", base, head, "Worse by", title="Phases", title_justify="left")
    for phase, (before, after) in phase_seconds(check).items():
        change = f"{after / before - 1:+.1%}" if before else ""
        table.add_row(phase, f"{before * 1e6:,.1f}", f"{after * 1e6:,.1f}", change)
    return table
