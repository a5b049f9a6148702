"""Calibrations: the variability of identical code on this machine, stored by fingerprint, sets the noise floor."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import stdev
from typing import Any

from pydantic import Field

from ganbench.errors import GanbenchError
from ganbench.results.record import Record
from ganbench.system.files import explained_write, is_file, state_dir, write_text

from .decision.looks import Look
from .decision.statistics import Estimate, paired
from .decision.verdict import ALPHA, NOISE_FLOOR
from .measuring import Sessions, conditions, measure_blocks
from .session import Session
from .side import SessionConfig, Side

LEVEL = 0.05  # one-sided, for each limit of the bias


class Calibration(Record):
    """Log time ratios of pairs of sessions that ran identical code."""

    fingerprint: dict[str, Any] = Field(description="the machine and the configuration for which it is valid")
    measured_at: datetime = Field(description="when it was measured, ISO 8601, in UTC")
    log_ratios: list[float] = Field(
        description="for each pair of sessions, the median over its windows of the natural logarithm of the ratio of "
        "their times per image"
    )

    @property
    def bias_bound(self) -> float:
        """Upper bound on the systematic time difference between identical sides, as a fraction."""
        estimate = paired(self.log_ratios)
        return math.expm1(max(-estimate.lower(LEVEL), estimate.upper(LEVEL)))

    @property
    def std(self) -> float:
        """Standard deviation between pairs, as a fraction of time."""
        return stdev(self.log_ratios)

    @property
    def noise_floor(self) -> float:
        return max(NOISE_FLOOR, self.bias_bound)

    def minimum_detectable_effect(self, margin: float, look: Look) -> float:
        """Return the smallest slowdown, as a fraction, that about half of all checks flag at this look."""
        pairs = 2 * look.blocks
        estimate = Estimate(0.0, self.std / math.sqrt(pairs), pairs - 1)
        return max(margin, math.expm1(math.log1p(self.noise_floor) + estimate.upper(ALPHA * look.share)))

    def store(self) -> Path:
        """Write the file from which checks under the same conditions read it. Raises `GanbenchError` if that fails."""
        file = calibration_file(self.fingerprint)
        with explained_write(file, "; choose another folder with XDG_STATE_HOME"):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, self.model_dump_json(indent=1) + "\n")
        return file


def calibrate(config: SessionConfig, blocks: int, order_seed: int, log: Callable[[str], None]) -> Calibration:
    """Measure the code of the running Python against itself. Raises as a check does."""
    sessions = Sessions(base=[], head=[], in_pairs=True)
    order = random.Random(order_seed)
    measure_blocks(sessions, Side("first"), Side("second"), config, range(blocks), blocks, order, log)
    return Calibration(
        fingerprint=fingerprint(sessions.base[0], config),
        measured_at=datetime.now(UTC),
        log_ratios=sessions.log_ratios,
    )


def calibrated_noise_floor(session: Session, config: SessionConfig) -> float:
    """Return the noise floor for the conditions of a session; 1% if there is no calibration.

    Raises `GanbenchError` if the calibration is unreadable.
    """
    file = calibration_file(fingerprint(session, config))
    if not is_file(file):
        return NOISE_FLOOR
    try:
        return Calibration.model_validate_json(file.read_bytes()).noise_floor
    except (OSError, ValueError):
        raise GanbenchError(f"calibration {file}: unreadable; remove it, or calibrate again") from None


def fingerprint(session: Session, config: SessionConfig) -> dict[str, Any]:
    """Return what noise depends on: the machine, the benchmark, and the length of the windows."""
    return {
        **session.environment.must_match,
        **conditions(session),
        "wait_policy": session.conditions.get("wait_policy"),
        "benchmark": config.benchmark,
        "overrides": config.overrides,
        "windows": config.windows,
        "window_seconds": config.window_seconds,
        "in_turns": config.interleaved,  # a hashed key: renaming it would orphan stored calibrations
    }


def calibration_file(fingerprint: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
    return state_dir() / "calibrations" / f"{digest}.json"
