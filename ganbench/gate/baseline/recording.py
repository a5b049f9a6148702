"""Record baselines: measure sessions and training runs of the current code, and store them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ganbench.gate.against import check_baselines
from ganbench.gate.check import Check, CheckConfig, Measurements
from ganbench.gate.decision.verdict import Finding, Verdict
from ganbench.gate.lengths import STORED_SESSIONS
from ganbench.gate.measuring import measure_fresh
from ganbench.gate.quantities.quality import require_valid_margins, seeds_of, train_seeds
from ganbench.gate.quantities.smoke import REPEATS, train_repeats
from ganbench.gate.revision.under_test import current_side
from ganbench.gate.session import Session
from ganbench.gate.side import CURRENT_CODE, Side
from ganbench.system.files import exists, require_output_file

from .stored import (
    Baseline,
    load_baseline,
    require_same_code,
    require_same_conditions,
    require_same_environment,
)


def record_missing(file: Path, config: CheckConfig) -> list[Check]:
    """Record the requested parts that a baseline lacks, or all of them if there is no file, and check the others.

    A recording that was interrupted has left a file without its later parts. The first of the returned checks is a
    warning, because the recorded parts were not compared; there are none if the baseline lacks nothing. Raises as
    `record_into` and `check_baselines` do.
    """
    benchmark, log = config.session_config.benchmark, config.log
    if not exists(file):
        log(f"{file} not found: recording it instead of checking against it")
        record_into(file, replace(config, sessions=STORED_SESSIONS))
        parts = ["sessions", *["smoke runs"] * config.smoke, *["scores"] * config.quality]
        return [recorded_check(file, benchmark, parts)]
    stored = load_baseline(file, benchmark)
    parts = stored.missing_parts(smoke=config.smoke, quality=config.quality)
    if not parts:
        return []
    require_output_file(file, "--baseline")
    log(f"{file} has no {' and no '.join(parts)}: recording them instead of checking against them")
    add_missing_runs(file, stored, config)
    smoke, quality = config.smoke and bool(stored.smoke), config.quality and bool(stored.quality)
    checks = [recorded_check(file, benchmark, parts)]
    if config.speed or smoke or quality:
        checks += check_baselines({str(file): stored}, replace(config, smoke=smoke, quality=quality))
    return checks


def recorded_check(file: Path, benchmark: str, parts: list[str]) -> Check:
    message = f"{file}: recorded, not checked ({', '.join(parts)}); the next check will use this baseline"
    finding = Finding(Verdict.WARNING, ("recorded", "not checked"), message)
    return Check(benchmark, (str(file), CURRENT_CODE), Measurements(), {"baseline": finding})


def record_into(file: Path, config: CheckConfig) -> Baseline:
    """Measure what the configuration requests, and add it to the baseline, or create one.

    Sessions are appended; training runs are only added if there are none. Raises `NotComparableError` if the existing
    baseline was measured under other conditions, in another environment, or with other code.
    """
    session_config, log, side = config.session_config, config.log, current_side(config.log)
    stored = load_baseline(file, session_config.benchmark) if exists(file) else None

    def require_comparable(session: Session) -> None:
        if stored:
            require_same_conditions(stored, session)
            require_same_environment(stored, session)
            require_same_code(stored, session)

    if stored:
        stored.require_same_windows(str(file), session_config)
    sessions = measure_fresh(side, session_config, config.sessions, log, require_comparable)
    baseline = stored or Baseline(benchmark=session_config.benchmark, sessions=[], smoke=[], quality=[])
    baseline = baseline.model_copy(update={"sessions": [*baseline.sessions, *sessions]})
    if disturbed := baseline.disturbances:
        log(
            f"{len(disturbed)} of {len(baseline.sessions)} sessions were disturbed, which hides regressions: remove "
            f"{file} and record it again on a quiet machine"
        )
    baseline.save(file)  # each part when it is complete: an interruption loses only the one that it interrupts
    return record_runs(file, baseline, side, config)


def add_missing_runs(file: Path, stored: Baseline, config: CheckConfig) -> None:
    """Add the training runs that a baseline lacks.

    Their code may be later than that of the sessions, because each part is only compared with itself. Raises
    `NotComparableError` if the conditions or the environment differ, which a session shows that is not stored.
    """
    side = current_side(config.log)
    stored.require_same_windows(str(file), config.session_config)
    (session,) = measure_fresh(side, config.session_config, 1, config.log)
    require_same_conditions(stored, session)
    require_same_environment(stored, session)
    record_runs(file, stored, side, config)


def record_runs(file: Path, baseline: Baseline, side: Side, config: CheckConfig) -> Baseline:
    """Add the requested training runs to a baseline that has none, save it after each part, and return it."""
    session_config, log = config.session_config, config.log
    if config.smoke and not baseline.smoke:
        runs = train_repeats(side, session_config, REPEATS, log)
        if config.quality:
            require_valid_margins(config.margins, runs[0].metrics)
        baseline = baseline.model_copy(update={"smoke": runs})
        baseline.save(file)
    if config.quality and not baseline.quality:
        runs = train_seeds(side, session_config, seeds_of(config.training_seed)[0], config.margins, log)
        baseline = baseline.model_copy(update={"quality": runs})
        baseline.save(file)
    return baseline
