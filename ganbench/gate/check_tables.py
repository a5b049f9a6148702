"""Checks, baselines and calibrations for people, as rich tables."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.reporting.comparison_tables import differences_table

from .baseline import ENOUGH_SESSIONS, Baseline
from .calibration import Calibration
from .check import Check
from .outputs import bounds
from .speed import (
    QUADS,
    Sessions,
    clocks_mhz,
    phase_seconds,
)
from .verdict import Finding, Verdict

STYLES = {
    Verdict.PASS: "bold green",
    Verdict.WARNING: "bold yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.REGRESSED: "bold red",
}


def check_tables(check: Check) -> Iterable[Table]:
    """The verdict on each figure, which phase moved, and what differs beside."""
    yield findings_table(check)
    if check.evidence.sessions:
        yield phases_table(check.evidence.sessions, check.names)
    for title, fields in check.differences.items():
        yield differences_table(f"Differences: {title}", fields, list(check.names))


def findings_table(check: Check) -> Table:
    """A row a figure: how much worse head is, between which bounds, and the verdict."""
    base, head = map(escape, check.names)
    table = Table("Figure", base, head, "Worse by", "Between", title="Check", title_justify="left")
    table.add_column("Verdict", min_width=len(Verdict.INCONCLUSIVE))
    for name, finding in check.findings.items():
        table.add_row(*map(escape, (name, *finding.sides, *bounds(finding))), verdict_text(finding))
    return table


def verdict_text(finding: Finding) -> Text:
    return Text(finding.verdict.upper(), style=STYLES[finding.verdict])


def phases_table(sessions: Sessions, names: tuple[str, str]) -> Table:
    """Time of each phase on both sides, in milliseconds per 1,000 images, and the clock."""
    base, head = map(escape, names)
    table = Table("Phase, ms per 1,000 images", base, head, "Worse by", title="Phases", title_justify="left")
    for phase, (before, after) in phase_seconds(sessions).items():
        change = f"{after / before - 1:+.1%}" if before else ""
        table.add_row(phase, f"{before * 1e6:,.1f}", f"{after * 1e6:,.1f}", change)
    if clocks := clocks_mhz(sessions):
        table.add_row("the GPU's clock, MHz", *(f"{clock:,.0f}" for clock in clocks))
    return table


def baseline_table(name: str, baseline: Baseline) -> Table:
    """What a baseline holds: its conditions, and how its sessions scatter."""
    table = Table("", "", title=f"Baseline {escape(name)}", title_justify="left", show_header=False)
    rates = [1 / session.seconds_per_image for session in baseline.sessions]
    table.add_row("benchmark", escape(baseline.benchmark))
    table.add_row("sessions", f"{len(rates)}" + ("" if len(rates) >= ENOUGH_SESSIONS else ", too few to fail a build"))
    table.add_row("images/s", f"{median(rates):,.1f} (from {min(rates):,.1f} to {max(rates):,.1f})")
    table.add_row("smoke trainings", f"{len(baseline.smoke)}")
    table.add_row("seeds with scores", f"{len(baseline.quality)}")
    first = baseline.sessions[0]
    for field, value in {**first.environment.must_match, **first.conditions, **first.environment.may_differ}.items():
        table.add_row(escape(field), escape(str(value)))
    return table


def calibration_table(calibration: Calibration, margin: float) -> Table:
    """How equal code scatters here, and what a check of speed can therefore see; `margin` is a fraction."""
    pairs = len(calibration.log_ratios)
    table = Table("", "", title="Calibration", title_justify="left", show_header=False)
    table.add_row("pairs of sessions", f"{pairs}")
    table.add_row("they scatter by", f"{calibration.deviation:.2%} of time (standard deviation)")
    table.add_row("equal code may differ by", f"{calibration.shift:.2%} in the long run")
    table.add_row("noise floor", f"{calibration.noise_floor:.2%}")
    for quads in (QUADS, 2 * QUADS):
        seen = calibration.smallest_detectable(margin, 2 * quads)
        table.add_row(f"smallest detectable regression, {quads} quads", f"{seen:.1%}")
    return table
