"""The gate: compare head with base in one job, or with stored baselines, and decide on each quantity."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from ganbench.errors import GanbenchError, NotComparableError, UsageError
from ganbench.spec.sections import GateOptions

from .baseline.stored import (
    Baseline,
    require_other_seeds,
    require_same_conditions,
    require_same_seed,
    require_same_training,
)
from .calibration import calibrated_noise_floor
from .decision.verdict import (
    Finding,
    Threshold,
    Verdict,
    decide_all,
    overall,
    shared_levels,
    significance_level,
)
from .measuring import Sessions, measure_fresh, measure_interleaved, require_unchanged
from .options import FRESH_SESSIONS, MAX_BLOCKS
from .probe import NOTHING_TO_MEASURE, are_equal, probed, require_same_scores
from .quantities import smoke, speed
from .quantities.quality import (
    Quality,
    require_known_metrics,
    require_same_protocols,
    seeds_of,
    train_both,
    train_side,
)
from .quantities.targets import TargetTimes
from .session import Session
from .side import SessionConfig, Side
from .training_runs import TrainingRun, TrainingRuns, require_same_protocol

SPEED = ("throughput", "memory")  # findings on sessions; others are on training runs
INCOMPLETE = "incomplete"  # name of the finding that something was not checked


@dataclass(frozen=True)
class CheckConfig:
    """What to measure, and how much worse is too much."""

    session_config: SessionConfig
    margins: GateOptions = field(default_factory=GateOptions)
    speed: bool = True
    smoke: bool = True
    quality: bool = False
    always_measure: bool = False  # even if both sides are identical
    max_blocks: int = MAX_BLOCKS  # of four sessions, when both sides run in one job
    sessions: int = FRESH_SESSIONS  # fresh ones, against a baseline
    training_seed: int = 0  # that of the benchmark
    metrics: tuple[str, ...] = ()  # names, of the benchmark
    non_paths: frozenset[str] = frozenset()  # values in the spec that are not paths, even if a file has that name
    order_seed: int = 0  # random seed for the session order
    log: Callable[[str], None] = lambda _: None  # called with progress messages
    report_incomplete: Callable[[Check], None] = lambda _: None  # called with the complete parts if another one fails

    @property
    def level(self) -> float:
        """Significance level for speed, and for all scores together."""
        return significance_level(speed=self.speed, scores=self.quality)

    def __post_init__(self) -> None:
        """Raises `UsageError` if nothing is requested, or scores although the benchmark has no metrics."""
        if not (self.speed or self.smoke or self.quality):
            raise UsageError("nothing to check: neither speed nor a smoke run (--no-speed, --no-smoke) nor --quality")
        if self.quality and not self.metrics:
            raise UsageError(f"--quality needs a metric, and benchmark {self.session_config.benchmark} has none")


@dataclass(frozen=True)
class Measurements:
    """All measurements of both sides; None for those not requested."""

    sessions: Sessions | None = None
    smoke: TrainingRuns | None = None
    quality: TrainingRuns | None = None

    def require_unchanged(self) -> None:
        """Raise `NotComparableError` if the code of a side changed between its sessions or training runs."""
        parts = [part for part in (self.sessions, self.smoke, self.quality) if part]
        for side in ("base", "head"):
            require_unchanged([record.code for part in parts for record in getattr(part, side)])


@dataclass(frozen=True)
class Check:
    """The outcome of a comparison."""

    benchmark: str
    names: tuple[str, str]  # of base and head, for display
    measurements: Measurements
    findings: dict[str, Finding]
    order_seed: int | None = None  # None for a check against a baseline
    advisory: tuple[str, ...] = ()  # reasons why a regression does not fail the build, if any

    @property
    def verdict(self) -> Verdict:
        return overall(finding.verdict for finding in self.findings.values())

    @property
    def differences(self) -> dict[str, dict[str, tuple[Any, ...]]]:
        """The fields of spec, engine, environment and plugins that differ between the sides."""
        return speed.differences(self.measurements.sessions) if self.measurements.sessions else {}


def check_interleaved(base: Side, head: Side, config: CheckConfig) -> Check:
    """Measure both sides, and compare head with base. If both would run the same, pass immediately.

    Raises `NotComparableError` if the sides ran under different conditions or not their own code, or if requested
    scores cannot be compared, and `SessionError` if a session crashed. `config.report_incomplete` then gets the check
    of the parts that were complete, if any.
    """
    session_config, log = config.session_config, config.log
    measurements = Measurements()

    def check_of(findings: dict[str, Finding]) -> Check:
        return Check(session_config.benchmark, (base.name, head.name), measurements, findings, config.order_seed)

    def check_complete_parts() -> list[Check]:
        measurements.require_unchanged()
        return [check_of(make_findings(measurements, config, config.margins.time_percent))]

    with reported_if_incomplete(config, check_complete_parts):
        with ExitStack() as stack:  # of the probes' processes, which go on to the smoke run
            workers = None
            if config.quality or not config.always_measure or base.checkouts:
                probes = stack.enter_context(
                    probed(
                        base,
                        head,
                        session_config,
                        smoke.of_seed(config.training_seed),
                        scores=config.smoke or config.quality,
                    )
                )
                if not config.always_measure and are_equal(base, head, probes):
                    return check_of({"code": NOTHING_TO_MEASURE})
                if config.quality:
                    require_same_scores(probes)
                workers = probes.workers
            if config.smoke:
                runs = smoke.train_both(base, head, session_config, config.training_seed, log, workers)
                if config.quality:
                    require_same_protocol(runs.base[0], runs.head[0])
                    require_known_metrics(config.margins, runs.head[0].metrics)
                measurements = replace(measurements, smoke=runs)
        if config.speed:
            threshold = throughput_threshold(config.margins.time_percent, session_config)
            order = random.Random(config.order_seed)
            sessions = measure_interleaved(
                base, head, session_config, threshold, config.level, config.max_blocks, order, log
            )
            measurements = replace(measurements, sessions=sessions)
        if config.quality:
            runs = train_both(base, head, session_config, config.training_seed, config.margins, log)
            measurements = replace(measurements, quality=runs)
    (check,) = check_complete_parts()
    return check


def check_stored(baselines: Mapping[str, Baseline], head: Side, config: CheckConfig) -> list[Check]:
    """Measure head, and compare it with each baseline. A rolling and a pinned one together catch gradual slowdowns.

    Raises `NotComparableError` if a baseline was measured under other conditions, `MissingError` if it lacks a
    requested part, and `SessionError` if a session crashed. `config.report_incomplete` then gets the checks of the
    parts that were complete, if any.
    """
    session_config, log = config.session_config, config.log
    for name, baseline in baselines.items():
        baseline.require(name, speed=config.speed, smoke=config.smoke, quality=config.quality)
        if config.quality:
            require_other_seeds(baseline.quality, seeds_of(config.training_seed)[1])
        if config.speed:
            baseline.require_same_windows(name, session_config)
            calibrated_noise_floor(baseline.sessions[0], session_config)  # if it is unreadable, nothing is measured

    def require_comparable(session: Session) -> None:
        for baseline in baselines.values():
            require_same_conditions(baseline, session)

    def require_comparable_scores(run: TrainingRun) -> None:
        for baseline in baselines.values():
            require_same_training(baseline.quality[0], run)
            require_same_protocols(TrainingRuns(baseline.quality, [run]))

    sessions: list[Session] = []
    smoke_runs: list[TrainingRun] = []
    quality_runs: list[TrainingRun] = []

    def check_complete_parts() -> list[Check]:
        require_unchanged([record.code for records in (sessions, smoke_runs, quality_runs) for record in records])
        return [
            check_with(name, baseline, head.name, sessions, smoke_runs, quality_runs, config)
            for name, baseline in baselines.items()
        ]

    with reported_if_incomplete(config, check_complete_parts):
        if config.smoke:
            runs = smoke.train_repeats(head, session_config, 1, log)
            for baseline in baselines.values():
                require_same_training(baseline.smoke[0], runs[0])
                require_same_seed(baseline.smoke[0], runs[0])
                if config.quality:
                    require_same_protocol(baseline.smoke[0], runs[0])
            if config.quality:
                require_known_metrics(config.margins, runs[0].metrics)
            smoke_runs = runs
        if config.speed:
            sessions = measure_fresh(head, session_config, config.sessions, log, require_comparable)
        if config.quality:
            seeds = seeds_of(config.training_seed)[1]
            quality_runs = train_side(head, session_config, seeds, config.margins, log, require_comparable_scores)
    return check_complete_parts()


def check_with(
    name: str,
    baseline: Baseline,
    head: str,
    sessions: list[Session],
    smoke_runs: list[TrainingRun],
    quality_runs: list[TrainingRun],
    config: CheckConfig,
) -> Check:
    """Compare what was measured of head with the baseline of that name; parts that were not are empty."""
    measurements = Measurements(
        Sessions(baseline.sessions, sessions, in_pairs=False) if sessions else None,
        TrainingRuns(baseline.smoke, smoke_runs) if smoke_runs else None,
        TrainingRuns(baseline.quality, quality_runs) if quality_runs else None,
    )
    of_speed = baseline.advisory(sessions) if sessions else []
    of_scores = baseline.advisory_scores(quality_runs) if quality_runs else []
    findings = make_findings(measurements, config, config.margins.baseline_time_percent)
    reasons = {name: of_speed if name in SPEED else of_scores for name in findings}
    if sessions:
        findings["throughput"] = warn_if_disturbed(findings["throughput"], baseline)
    return Check(
        benchmark=config.session_config.benchmark,
        names=(name, head),
        measurements=measurements,
        findings={name: as_advisory(finding, reasons[name]) for name, finding in findings.items()},
        advisory=tuple(dict.fromkeys(chain.from_iterable(reasons.values()))),
    )


@contextmanager
def reported_if_incomplete(config: CheckConfig, check_complete_parts: Callable[[], list[Check]]) -> Iterator[None]:
    """If a part fails or is interrupted, report the checks of the complete ones, and raise the error again.

    The verdict on a complete part is final: its significance level depends only on which parts were requested.
    """
    try:
        yield
    except (GanbenchError, KeyboardInterrupt) as error:
        with suppress(NotComparableError):  # the code changed between the parts, so they are not of one revision
            for check in check_complete_parts():
                if check.findings:
                    config.report_incomplete(as_incomplete(check, missing_parts(check.measurements, config), error))
        raise


def missing_parts(measured: Measurements, config: CheckConfig) -> str:
    """Return which of the requested parts were not measured; empty if none."""
    parts = {
        "the smoke run": config.smoke and not measured.smoke,
        "speed": config.speed and not measured.sessions,
        "scores": config.quality and not measured.quality,
    }
    return " and ".join(part for part, is_missing in parts.items() if is_missing)


def as_incomplete(check: Check, missing: str, error: BaseException) -> Check:
    """Add the finding that something is missing, because of an error or an interruption."""
    failed = isinstance(error, GanbenchError)
    why = f"of an error: {str(error).splitlines()[0].rstrip(':')}" if failed else "the check was interrupted"
    finding = Finding(Verdict.INCONCLUSIVE, ("", ""), f"{missing} not checked, because {why}")
    return replace(check, findings={**check.findings, INCOMPLETE: finding})


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
