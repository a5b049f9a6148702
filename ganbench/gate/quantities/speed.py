"""Judge speed and memory: the findings on the sessions of both sides, and where the time goes."""

from __future__ import annotations

import math
from statistics import mean, median
from typing import Any

from ganbench.gate.decision.statistics import paired
from ganbench.gate.decision.verdict import NOISE_FLOOR, Decision, Finding, Threshold, Verdict, decision_message
from ganbench.gate.measuring import Sessions, log_ratio
from ganbench.gate.session import Session
from ganbench.reporting.formatting import mebibytes
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.schema import providers
from ganbench.results.throughput import rate_text
from ganbench.spec.sections import GateOptions


def throughput_finding(sessions: Sessions, decision: Decision, threshold: Threshold) -> Finding:
    """Return the finding on speed; a regression names the phase that lost most time."""
    base, head = (
        f"{rate_text(median(1 / session.seconds_per_image for session in side))} images/s"
        for side in (sessions.base, sessions.head)
    )
    message = decision_message("time per image", decision)
    if decision.verdict == Verdict.REGRESSED:
        message += f"; most of the slowdown is in the {most_slowed_phase(sessions)} phase"
    if threshold.noise_floor > max(threshold.margin, NOISE_FLOOR):
        floor = f"{threshold.noise_floor:.1%}"
        message += f"; slowdowns below the calibrated noise floor of {floor} are not flagged: calibrate again"
    return Finding(decision.verdict, (base, head), message, decision)


def rare_slowdown_finding(sessions: Sessions, decision: Decision, threshold: Threshold, level: float) -> Finding | None:
    """Return a warning if head is slower on average, though not in the median window, on which `decision` is.

    Then something slow happens in a few windows only, such as the start of an epoch. A disturbance can cause that as
    well, so the mean must meet the same evidence as the median, and their difference must be clear.
    """
    if decision.verdict == Verdict.REGRESSED or not sessions.in_pairs:
        return None
    pairs = list(zip(sessions.base, sessions.head, strict=True))
    of_mean = sessions.look.decide(paired([mean_log_ratio(*pair) for pair in pairs]), threshold, level)
    difference = paired([mean_log_ratio(*pair) - log_ratio(*pair) for pair in pairs])
    is_clear = difference.lower(level * sessions.look.share) > math.log1p(threshold.noise_floor)
    if of_mean.verdict != Verdict.REGRESSED or not is_clear:
        return None
    base, head = (
        f"{rate_text(1 / mean(map(mean_seconds_per_image, side)))} images/s" for side in (sessions.base, sessions.head)
    )
    message = decision_message("mean time per image", of_mean)
    message += ". The median window does not show it, so something slow happens in a few windows"
    return Finding(Verdict.WARNING, (base, head), message, of_mean)


def mean_log_ratio(base: Session, head: Session) -> float:
    return math.log(mean_seconds_per_image(head) / mean_seconds_per_image(base))


def mean_seconds_per_image(session: Session) -> float:
    return mean(1 / rate for rate in session.images_per_second)


def memory_finding(sessions: Sessions, margins: GateOptions) -> Finding | None:
    """Return the finding on peak memory; None if it is not reported.

    Peak memory hardly varies: it is worse if every session of head needs more than every session of base.
    """
    base, head = (
        [session.peak_bytes for session in side if session.peak_bytes is not None]
        for side in (sessions.base, sessions.head)
    )
    if not base or not head:
        return None
    base_peak, head_peak = max(base), min(head)
    worse = head_peak - base_peak > max(margins.memory_mib * 2**20, margins.memory_percent / 100 * base_peak)
    sides = (mebibytes(base_peak), mebibytes(head_peak))
    message = f"peak memory: base needs up to {sides[0]}, head at least {sides[1]}"
    return Finding(Verdict.REGRESSED if worse else Verdict.PASS, sides, message)


def differences(sessions: Sessions) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return the fields that differ between the first sessions of both sides."""
    sides = (sessions.base[0], sessions.head[0])
    fields = {
        "spec": differing_fields(flatten(side.spec) for side in sides),
        "engine": differing_fields(side.conditions for side in sides),
        "environment": differing_fields(side.environment.may_differ for side in sides),
        "plugins": differing_fields(providers(side.plugins) for side in sides),
    }
    return {what: found for what, found in fields.items() if found}


def phase_seconds(sessions: Sessions) -> dict[str, tuple[float, float]]:
    """Return the seconds per image in each phase, of base and head: medians over sessions."""
    sides = (sessions.base, sessions.head)
    phases = dict.fromkeys(phase for side in sides for session in side for phase in session.phases)
    return {
        phase: tuple(median(session.phase_seconds.get(phase, 0.0) for session in side) for side in sides)  # type: ignore[misc]
        for phase in phases
    }


def phase_rows(sessions: Sessions) -> list[tuple[str, str, str, str]]:
    """Format the time per phase and the GPU clock: name, base, head and change; a clock has none."""
    rows = []
    for phase, (before, after) in phase_seconds(sessions).items():
        change = f"{after / before - 1:+.1%}" if before else ""
        rows.append((phase, f"{before * 1e6:,.1f}", f"{after * 1e6:,.1f}", change))
    if clocks := clocks_mhz(sessions):
        rows.append(("GPU clock, MHz", f"{clocks[0]:,.0f}", f"{clocks[1]:,.0f}", ""))
    return rows


def most_slowed_phase(sessions: Sessions) -> str:
    """Return the phase that lost most time."""
    lost = {phase: after - before for phase, (before, after) in phase_seconds(sessions).items()}
    return max(lost, key=lambda phase: lost[phase])


def clocks_mhz(sessions: Sessions) -> tuple[float, float] | None:
    """Return the GPU clock of both sides, as medians over sessions; None if not reported."""
    sides = [[s.clock_mhz for s in side if s.clock_mhz is not None] for side in (sessions.base, sessions.head)]
    return (median(sides[0]), median(sides[1])) if all(sides) else None
