"""Checks and baselines for people, as rich tables."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.report import mebibytes

from .baseline import ENOUGH_SESSIONS, Baseline
from .check import Check, phase_seconds
from .comparison_tables import differences_table
from .outputs import sentences
from .verdict import Finding, Verdict

STYLES = {Verdict.PASS: "bold green", Verdict.INCONCLUSIVE: "bold yellow", Verdict.REGRESSED: "bold red"}


def check_tables(check: Check) -> Iterable[Table]:
    """The verdict on each figure, which phase moved, and what differs beside."""
    yield findings_table(check)
    yield phases_table(check)
    for title, fields in check.differences.items():
        if fields:
            yield differences_table(f"Differences: {title}", fields, list(check.names))


def findings_table(check: Check) -> Table:
    """A row a figure: how much worse head is, between which bounds, and what would have been caught."""
    base, head = map(escape, check.names)
    table = Table("Figure", base, head, "Worse by", "Between", title="Check", title_justify="left")
    table.add_column("Verdict", min_width=len(Verdict.INCONCLUSIVE))
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
    base, head = map(escape, check.names)
    table = Table("Phase, ms per 1,000 images", base, head, "Worse by", title="Phases", title_justify="left")
    for phase, (before, after) in phase_seconds(check).items():
        change = f"{after / before - 1:+.1%}" if before else ""
        table.add_row(phase, f"{before * 1e6:,.1f}", f"{after * 1e6:,.1f}", change)
    return table
