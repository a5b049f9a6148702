"""A check: what to measure and how much worse is too much, and the outcome of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ganbench.errors import GanbenchError, UsageError
from ganbench.spec.sections import GateOptions

from .decision.verdict import Finding, Verdict, overall, significance_level
from .lengths import FRESH_SESSIONS, MAX_BLOCKS
from .measuring import Sessions, require_unchanged
from .quantities import speed
from .side import SessionConfig
from .training_runs import TrainingRuns

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
    budget_seconds: float | None = None  # of the benchmark
    non_paths: frozenset[str] = frozenset()  # values in the spec that are not paths, even if a file has that name
    order_seed: int = 0  # random seed for the session order
    log: Callable[[str], None] = lambda _: None  # called with progress messages
    report_incomplete: Callable[[Check], None] = lambda _: None  # called with the complete parts if another one fails

    @property
    def level(self) -> float:
        """Significance level for speed, and for all scores together."""
        return significance_level(speed=self.speed, scores=self.quality)

    def __post_init__(self) -> None:
        """Raises `UsageError` if nothing is requested, or scores although the benchmark has no metrics or a budget."""
        if not (self.speed or self.smoke or self.quality):
            raise UsageError("nothing to check: neither speed nor a smoke run (--no-speed, --no-smoke) nor --quality")
        if self.quality and not self.metrics:
            raise UsageError(f"--quality needs a metric, and benchmark {self.session_config.benchmark} has none")
        if self.quality and self.budget_seconds is not None:
            raise UsageError(
                "--quality: training.budget_seconds: not supported, because the seeds would train for different "
                "numbers of steps; set only training.steps or training.epochs instead"
            )


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


def as_incomplete(check: Check, missing: str, error: BaseException) -> Check:
    """Add the finding that something is missing, because of an error or an interruption."""
    failed = isinstance(error, GanbenchError)
    why = f"of an error: {str(error).splitlines()[0].rstrip(':')}" if failed else "the check was interrupted"
    finding = Finding(Verdict.INCONCLUSIVE, ("", ""), f"{missing} not checked, because {why}")
    return replace(check, findings={**check.findings, INCOMPLETE: finding})
