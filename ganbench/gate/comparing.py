"""Measure head and base in one job, or head alone for stored baselines, and compare them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import chain

from ganbench.errors import GanbenchError, NotComparableError

from .baseline.stored import (
    Baseline,
    require_other_seeds,
    require_same_conditions,
    require_same_seed,
    require_same_training,
)
from .calibration import calibrated_noise_floor
from .check import Check, CheckConfig, Measurements, as_incomplete
from .decision.verdict import Finding
from .findings import SPEED, as_advisory, make_findings, throughput_threshold, warn_if_disturbed
from .measuring import Sessions, measure_fresh, measure_interleaved, require_unchanged
from .probe import NOTHING_TO_MEASURE, are_equal, probed, require_same_scores
from .quantities import smoke
from .quantities.quality import (
    require_same_protocols,
    require_valid_margins,
    seeds_of,
    train_seeds,
    train_seeds_of_both,
)
from .session import Session
from .side import Side
from .training_runs import TrainingRun, TrainingRuns, require_same_protocol


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
                    require_valid_margins(config.margins, runs.head[0].metrics)
                measurements = replace(measurements, smoke=runs)
        if config.speed:
            threshold = throughput_threshold(config.margins.time_percent, session_config)
            order = random.Random(config.order_seed)
            sessions = measure_interleaved(
                base, head, session_config, threshold, config.level, config.max_blocks, order, log
            )
            measurements = replace(measurements, sessions=sessions)
        if config.quality:
            runs = train_seeds_of_both(base, head, session_config, config.training_seed, config.margins, log)
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
                require_valid_margins(config.margins, runs[0].metrics)
            smoke_runs = runs
        if config.speed:
            sessions = measure_fresh(head, session_config, config.sessions, log, require_comparable)
        if config.quality:
            seeds = seeds_of(config.training_seed)[1]
            quality_runs = train_seeds(head, session_config, seeds, config.margins, log, require_comparable_scores)
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
