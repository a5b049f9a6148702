"""The findings on each quantity of a check, and when one must not fail the build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .baseline.stored import Baseline
from .calibration import calibrated_noise_floor
from .check import CheckConfig, Measurements
from .decision.verdict import Finding, Threshold, Verdict, decide_all, shared_levels
from .quantities import smoke, speed
from .quantities.quality import Quality
from .quantities.targets import TargetTimes
from .session import Session
from .side import SessionConfig
from .training_runs import TrainingRuns

SPEED = ("throughput", "memory")  # findings on sessions; others are on training runs


def make_findings(measurements: Measurements, config: CheckConfig, throughput_margin: float) -> dict[str, Finding]:
    """Return the finding on each quantity. Speed and the scores share the significance level."""
    sessions, findings = measurements.sessions, {}
    if sessions:
        threshold = throughput_threshold(throughput_margin, config.session_config)(sessions.base[0])
        decision = sessions.decide(threshold, config.level)
        findings["throughput"] = speed.throughput_finding(sessions, decision, threshold)
        if rare := speed.rare_slowdown_finding(sessions, decision, threshold, config.level):
            findings["mean throughput"] = rare
        if memory := speed.memory_finding(sessions, config.margins):
            findings["memory"] = memory
    if measurements.smoke:
        findings["smoke"] = smoke.smoke_finding(measurements.smoke)
    if measurements.quality:
        findings |= score_findings(measurements.quality, config, throughput_margin)
    return findings


def score_findings(runs: TrainingRuns, config: CheckConfig, throughput_margin: float) -> dict[str, Finding]:
    """Return the findings on failed seeds, scores and targets, which share one significance level."""
    percent = config.margins.target_percent
    quality = Quality(runs, config.margins)
    targets = TargetTimes(runs, {"images": percent, "seconds": max(percent, throughput_margin)})
    scores, times, failures = quality.estimates(), targets.estimates(), quality.failures()
    thresholds = {
        **{title: quality.threshold(title) for title in scores},
        **{title: targets.threshold(title) for title in times},
    }
    p_values = {title: failed.p_value for title, failed in failures.items()}
    levels = shared_levels({**scores, **times}, thresholds, p_values, config.level)
    decisions = decide_all({**scores, **times}, thresholds, levels)
    return {
        **{title: failed.finding(levels[title]) for title, failed in failures.items()},
        **dict(quality.findings(decisions)),
        **dict(targets.findings(decisions, levels)),
    }


def throughput_threshold(margin: float, session_config: SessionConfig) -> Callable[[Session], Threshold]:
    """Return a function from a session to the threshold under its conditions; `margin` is in percent."""
    return lambda session: Threshold(margin / 100, calibrated_noise_floor(session, session_config))


def as_advisory(finding: Finding, reasons: list[str]) -> Finding:
    """Downgrade a regression to inconclusive if there are reasons not to fail the build."""
    if not reasons or finding.verdict != Verdict.REGRESSED:
        return finding
    message = f"{finding.message}; advisory only: {'; '.join(reasons)}"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, message=message, advisory=tuple(reasons))


def warn_if_disturbed(finding: Finding, baseline: Baseline) -> Finding:
    """Turn a pass on throughput into a warning if stored sessions were slowed down, which hides regressions."""
    disturbed = baseline.disturbances
    if not disturbed or finding.verdict != Verdict.PASS:
        return finding
    how_many = f"{len(disturbed)} of the baseline's {len(baseline.sessions)} sessions"
    message = f"{finding.message}; {how_many} were disturbed, so a regression may be hidden: {disturbed[0]}"
    return replace(finding, verdict=Verdict.WARNING, message=message)
