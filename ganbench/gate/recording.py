"""Record baselines: measure sessions and training runs of the current code, and store them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .baseline import (
    Baseline,
    load_baseline,
    require_same_code,
    require_same_conditions,
    require_same_environment,
)
from .check import Check, CheckConfig, Measurements
from .measuring import measure_fresh
from .options import STORED_SESSIONS
from .quality import seeds_of, train_side
from .session import Session
from .side import CURRENT_CODE
from .smoke import REPEATS, train_repeats
from .under_test import current_side
from .verdict import Finding, Verdict


def record_missing(file: Path, config: CheckConfig) -> Check | None:
    """Record the requested parts that a baseline lacks, or all of them if there is no file; None if it lacks nothing.

    A recording that was interrupted has left a file without its later parts. Returns a check with a warning, because
    nothing was compared. Raises as `record_into` does.
    """
    benchmark, log = config.session_config.benchmark, config.log
    if file.exists():
        parts = load_baseline(file, benchmark).missing_parts(smoke=config.smoke, quality=config.quality)
        if not parts:
            return None
        log(f"{file} has no {' and no '.join(parts)}: recording them instead of checking against it")
        record_into(file, replace(config, sessions=0))
    else:
        parts = ["sessions", *["smoke runs"] * config.smoke, *["scores"] * config.quality]
        log(f"{file} not found: recording it instead of checking against it")
        record_into(file, replace(config, sessions=STORED_SESSIONS))
    message = f"{file}: recorded, not checked ({', '.join(parts)}); the next check will use this baseline"
    finding = Finding(Verdict.WARNING, ("recorded", "not checked"), message)
    return Check(benchmark, (str(file), CURRENT_CODE), Measurements(), {"baseline": finding})


def record_into(file: Path, config: CheckConfig) -> Baseline:
    """Measure what the configuration requests, and add it to the baseline, or create one.

    Sessions are appended; training runs are only added if there are none. Raises `NotComparableError` if the existing
    baseline was measured under other conditions, in another environment, or with other code.
    """
    session_config, log, side = config.session_config, config.log, current_side(config.log)
    stored = load_baseline(file, session_config.benchmark) if file.exists() else None

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
    if config.smoke and not baseline.smoke:
        runs = train_repeats(side, session_config, REPEATS, log)
        baseline = baseline.model_copy(update={"smoke": runs})
        baseline.save(file)
    if config.quality and not baseline.quality:
        runs = train_side(side, session_config, seeds_of(config.training_seed)[0], config.margins, log)
        baseline = baseline.model_copy(update={"quality": runs})
        baseline.save(file)
    return baseline
