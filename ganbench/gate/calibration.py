"""What equal code looks like on this machine: measured once, kept by fingerprint, and used as the noise floor."""

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

from pydantic import ValidationError

from ganbench.errors import GanbenchError
from ganbench.results.schema import Record
from ganbench.system.files import state_dir, write_text

from . import speed
from .arm import Arm, Measurement
from .session import Session
from .statistics import Estimate, paired
from .verdict import ALPHA, NOISE_FLOOR

LEVEL = 0.05  # of each bound of the shift


class Calibration(Record):
    """Pairs of sessions of one and the same code, as log ratios of time."""

    fingerprint: dict[str, Any]  # of machine and measurement: it holds for nothing else
    measured_at: datetime
    log_ratios: list[float]

    @property
    def shift(self) -> float:
        """The largest change of time, as a fraction, that equal code may show in the long run."""
        estimate = paired(self.log_ratios)
        return math.expm1(max(-estimate.lower(LEVEL), estimate.upper(LEVEL)))

    @property
    def deviation(self) -> float:
        """Between pairs, as a fraction of time."""
        return stdev(self.log_ratios)

    @property
    def noise_floor(self) -> float:
        return max(NOISE_FLOOR, self.shift)

    def smallest_detectable(self, margin: float, pairs: int) -> float:
        """The least slowdown that a check of so many pairs calls a regression about half the time, as a fraction."""
        estimate = Estimate(0.0, self.deviation / math.sqrt(pairs), pairs - 1)
        return max(margin, math.expm1(math.log1p(self.noise_floor) + estimate.upper(ALPHA)))


def calibrate(measurement: Measurement, quads: int, order_seed: int, told: Callable[[str], None]) -> Calibration:
    """Measure this Python's code against itself, and keep what came of it. Raises as a check does."""
    sessions = speed.Sessions(base=[], head=[], in_pairs=True)
    order = random.Random(order_seed)
    speed.measure_quads(sessions, Arm("as it is"), Arm("again"), measurement, quads, order, told)
    calibration = Calibration(
        fingerprint=fingerprint(sessions.base[0], measurement),
        measured_at=datetime.now(UTC),
        log_ratios=sessions.log_ratios,
    )
    file = calibration_file(calibration.fingerprint)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, calibration.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise GanbenchError(f"calibration {file}: cannot write it: {error.strerror}") from None
    return calibration


def calibrated_noise_floor(session: Session, measurement: Measurement) -> float:
    """The noise floor under this session's conditions; 1 % where nobody has calibrated.

    Raises `GanbenchError` for a calibration that cannot be read.
    """
    file = calibration_file(fingerprint(session, measurement))
    if not file.exists():
        return NOISE_FLOOR
    try:
        return Calibration.model_validate_json(file.read_bytes()).noise_floor
    except (OSError, ValidationError, ValueError):
        raise GanbenchError(f"calibration {file}: cannot be read; remove it, or calibrate again") from None


def fingerprint(session: Session, measurement: Measurement) -> dict[str, Any]:
    """What noise depends on: the machine, what is trained on it, and for how long it is timed."""
    return {
        **session.environment.must_match,
        **speed.conditions(session),
        "wait_policy": session.conditions.get("wait_policy"),
        "benchmark": measurement.benchmark,
        "overrides": measurement.overrides,
        "windows": measurement.windows,
        "window_seconds": measurement.window_seconds,
        "in_turns": measurement.in_turns,
    }


def calibration_file(fingerprint: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
    return state_dir() / "calibrations" / f"{digest}.json"
