"""Tables of checks, baselines and calibrations for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.reporting.comparison_tables import differences_table

from .baseline.stored import MIN_GATING_SESSIONS, Baseline
from .calibration import Calibration
from .check import Check
from .decision.looks import looks
from .decision.verdict import NOISE_FLOOR, Finding, Verdict, bounds
from .lengths import MAX_BLOCKS
from .measuring import Sessions
from .quantities.speed import phase_rows

STYLES = {
    Verdict.PASS: "bold green",
    Verdict.WARNING: "bold yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.REGRESSED: "bold red",
}


def check_tables(check: Check) -> Iterable[Table]:
    """Yield the tables of verdicts, phases and differing fields."""
    yield findings_table(check)
    if check.measurements.sessions:
        yield phases_table(check.measurements.sessions, check.names)
    for title, fields in check.differences.items():
        yield differences_table(f"Differences: {title}", fields, list(check.names))


def findings_table(check: Check) -> Table:
    """Make a table with one row per quantity: how much worse head is, the bounds and the verdict."""
    base, head = map(escape, check.names)
    table = Table("Quantity", base, head, "Worse by", "Bounds", title="Check", title_justify="left")
    table.add_column("Verdict", min_width=len(Verdict.INCONCLUSIVE))
    for name, finding in check.findings.items():
        table.add_row(*map(escape, (name, *finding.sides, *bounds(finding))), verdict_text(finding))
    return table


def verdict_text(finding: Finding) -> Text:
    return Text(finding.verdict.upper(), style=STYLES[finding.verdict])


def phases_table(sessions: Sessions, names: tuple[str, str]) -> Table:
    """Make a table of the time per phase on both sides, and of the GPU clock."""
    base, head = map(escape, names)
    table = Table("Phase, ms per 1,000 images", base, head, "Change", title="Phases", title_justify="left")
    for row in phase_rows(sessions):
        table.add_row(*map(escape, row))
    return table


def baseline_table(name: str, baseline: Baseline) -> Table:
    """Make a table of the contents and conditions of a baseline."""
    table = Table("", "", title=f"Baseline {escape(name)}", title_justify="left", show_header=False)
    rates = [1 / session.seconds_per_image for session in baseline.sessions]
    table.add_row("benchmark", escape(baseline.benchmark))
    table.add_row(
        "sessions", f"{len(rates)}" + ("" if len(rates) >= MIN_GATING_SESSIONS else ", too few to fail a build")
    )
    table.add_row("images/s", f"{median(rates):,.1f} ({min(rates):,.1f} to {max(rates):,.1f})")
    if disturbed := baseline.disturbances:
        table.add_row("disturbed sessions", f"{len(disturbed)}, which hides regressions")
    table.add_row("smoke runs", f"{len(baseline.smoke)}")
    table.add_row("quality runs", f"{len(baseline.quality)}")
    first = baseline.sessions[0]
    for field, value in {**first.environment.must_match, **first.conditions, **first.environment.may_differ}.items():
        table.add_row(escape(field), escape(str(value)))
    return table


def calibration_table(calibration: Calibration, margin: float) -> Table:
    """Make a table of the variability of identical code, and of the effects that a check detects.

    `margin` is a fraction.
    """
    pairs = len(calibration.log_ratios)
    table = Table("", "", title="Calibration", title_justify="left", show_header=False)
    table.add_row("pairs of sessions", f"{pairs}")
    table.add_row("standard deviation", f"{calibration.std:.2%} of time per image")
    table.add_row("bound on systematic bias", f"{calibration.bias_bound:.2%}")
    table.add_row("noise floor", f"{calibration.noise_floor:.2%}")
    for look in looks(MAX_BLOCKS):
        detectable = calibration.minimum_detectable_effect(margin, look)
        table.add_row(f"minimum detectable effect (50% power), {look.blocks} blocks", f"{detectable:.1%}")
    if calibration.noise_floor > max(margin, NOISE_FLOOR):
        table.caption = "the noise floor exceeds the margin: calibrate again when the machine is quiet"
        table.caption_justify = "left"
    return table
