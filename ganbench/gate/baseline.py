"""Stored sessions to measure against later: a JSON file that is meant to be committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ganbench.errors import MissingError, NotComparableError, UsageError
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.schema import Record
from ganbench.spec.benchmark import NON_TRAINING_FIELDS
from ganbench.system.files import write_text

from .arm import Measurement
from .session import Session
from .training import Training, software_differences

SCHEMA_VERSION: Literal[2] = 2
UNDER_TEST = "ganbench_source"  # of the soft environment: what changes with the code, and not with the machine
ENOUGH_SESSIONS = 8  # with fewer, the deviation between sessions is not known well enough to fail a build


class Baseline(Record):
    """What was measured of one benchmark under the same conditions."""

    kind: Literal["ganbench baseline"] = "ganbench baseline"
    schema_version: Literal[2] = SCHEMA_VERSION
    benchmark: str
    sessions: list[Session]
    smoke: list[Training] = []  # repeats of one seed
    quality: list[Training] = []  # a training a seed

    def save(self, path: Path) -> None:
        try:
            write_text(path, self.model_dump_json(indent=1) + "\n")
        except OSError as error:
            raise UsageError(f"baseline {path}: cannot write it: {error.strerror}") from None

    def with_sessions(self, fresh: list[Session]) -> Baseline:
        """One with further sessions. Raises `NotComparableError` if they ran under other conditions."""
        for session in fresh:
            need_same_conditions(self, session)
        return self.model_copy(update={"sessions": [*self.sessions, *fresh]})

    def need_windows(self, name: str, measurement: Measurement) -> None:
        """Raise `NotComparableError` if its sessions were timed by other windows: they scatter in another way."""
        first = self.sessions[0]
        if (first.windows, first.window_seconds) != (measurement.windows, measurement.window_seconds):
            before, now = f"{first.window_seconds:g}", f"{measurement.window_seconds:g}"
            raise NotComparableError(
                f"baseline {name}: its sessions timed {first.windows} windows of {before} s, not {measurement.windows} "
                f"of {now} s: give --windows {first.windows} --window-seconds {before}, or record another baseline"
            )

    def need(self, name: str, *, speed: bool, smoke: bool, quality: bool) -> None:
        """Raise `MissingError` if it lacks what is to be judged, `NotComparableError` if it has too little of it."""
        again = f"record it with `ganbench baseline record {self.benchmark} --out {name}"
        if speed and len(self.sessions) < 2:
            raise NotComparableError(f"baseline {name}: one session tells nothing of how they scatter; record more")
        if smoke and not self.smoke:
            raise MissingError(f"baseline {name}: it has no smoke training: {again}`, or check with --no-smoke")
        if quality and not self.quality:
            raise MissingError(f"baseline {name}: it has no seeds to judge scores by: {again} --quality`")

    def advisory_scores(self, fresh: Training) -> list[str]:
        """Why a verdict on scores must not fail a build; empty where it may."""
        software = software_differences(self.quality[0], fresh)
        told = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in software.items())
        return [f"the software behind the scores differs from the baseline's: {told}"] if software else []

    def advisory(self, fresh: Session) -> list[str]:
        """Why a verdict on speed must not fail a build; empty where it may."""
        reasons = []
        if len(self.sessions) < ENOUGH_SESSIONS:
            reasons.append(f"the baseline has {len(self.sessions)} sessions, and {ENOUGH_SESSIONS} are needed to gate")
        before, after = self.sessions[0].environment.may_differ, fresh.environment.may_differ
        soft = differing_fields([{**before, UNDER_TEST: None}, {**after, UNDER_TEST: None}])
        if soft:
            told = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in soft.items())
            reasons.append(f"the environment differs from the baseline's: {told}")
        return reasons


def load_baseline(path: Path, benchmark: str | None = None) -> Baseline:
    """Read a baseline, of `benchmark` if one is named.

    Raises `MissingError` where there is none, `UsageError` for a file that is not a baseline of ours or not whole, and
    `NotComparableError` for one of another benchmark.
    """
    try:
        baseline = Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        remedy = f": record it with `ganbench baseline record {benchmark} --out {path}`, or check with "
        hint = f"{remedy}--missing-baseline record" if benchmark and not path.exists() else ""
        raise MissingError(f"baseline {path}: cannot read it: {error.strerror}{hint}") from None
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(map(str, detail["loc"]))
        problem = f"{where}: {detail['msg']}" if where else detail["msg"]
        raise UsageError(
            f"baseline {path}: not a whole baseline of ganbench, schema {SCHEMA_VERSION}: {problem}; record it again"
        ) from None
    if not baseline.sessions:
        raise UsageError(f"baseline {path}: it has no sessions")
    if benchmark is not None and baseline.benchmark != benchmark:
        raise NotComparableError(f"baseline {path}: it is of benchmark {baseline.benchmark}, not of {benchmark}")
    return baseline


def need_same_conditions(baseline: Baseline, session: Session) -> None:
    """Raise `NotComparableError` with the fields that differ and forbid a comparison."""
    need_equal(conditions(baseline.sessions[0]), conditions(session), "measured under other conditions, so speeds say")


def need_same_training(stored: Training, fresh: Training) -> None:
    """Raise `NotComparableError` with what differs of spec, plugins and data."""
    need_equal(what_ran(stored), what_ran(fresh), "trained under other conditions, so losses say")


def need_equal(stored: dict[str, Any], fresh: dict[str, Any], how: str) -> None:
    fields = differing_fields([stored, fresh])
    if fields:
        told = "; ".join(f"{name}: {before}, now {after}" for name, (before, after) in fields.items())
        raise NotComparableError(f"the baseline was {how} nothing: {told}. Measure as it was, or record another")


def conditions(session: Session) -> dict[str, Any]:
    """What has to be equal for a stored session to be compared: device, precision, engine, spec and data."""
    return {**session.environment.must_match, **session.conditions, **what_ran(session)}


def what_ran(record: Session | Training) -> dict[str, Any]:
    """Spec but for the seed, and data; the plugins' code may be the very thing that was changed."""
    paths = flatten({name: value for name, value in record.spec.items() if name not in NON_TRAINING_FIELDS})
    spec = {f"spec {path}": value for path, value in paths.items() if path != "training.seed"}
    return {"data": record.data, **spec}
