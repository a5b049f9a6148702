"""What `ganbench check --json` prints: verdicts, numbers and all measurements."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from ganbench.results.record import SparseRecord

from .check import Check
from .decision.verdict import Finding, Verdict
from .quantities.speed import phase_seconds
from .session import Session
from .training_runs import TrainingRun

SideName = Literal["base", "head"]


class FindingRecord(SparseRecord):
    """The verdict on one quantity. The bounds are missing where there is no estimate."""

    verdict: Verdict = Field(description="whether head is worse than the spec allows")
    base: str = Field(description="value of base, with its unit")
    head: str = Field(description="value of head, with its unit")
    worse_by: float | None = Field(
        None, description="estimate, as a fraction of base: 0.05 is 5% worse, negative is better; null if infinite"
    )
    lower: float | None = Field(None, description="lower bound of `worse_by`, one-sided; null if infinite")
    upper: float | None = Field(None, description="upper bound of `worse_by`, one-sided; null if infinite")
    minimum_detectable_effect: float | None = Field(
        None, description="smallest true `worse_by` that about half of such checks flag; null if infinite"
    )
    message: str = Field(description="the verdict in words")

    @classmethod
    def of(cls, finding: Finding) -> FindingRecord:
        numbers: dict[str, float | None] = {}
        if decision := finding.decision:
            numbers = {
                "worse_by": finite(decision.effect),
                "lower": finite(decision.lower),
                "upper": finite(decision.upper),
                "minimum_detectable_effect": finite(decision.minimum_detectable_effect),
            }
        base, head = finding.sides
        return cls(verdict=finding.verdict, base=base, head=head, **numbers, message=finding.message)


class CheckRecord(SparseRecord):
    """A comparison of head with base. The measurements that were not requested are missing."""

    verdict: Verdict = Field(description="the most severe verdict on any quantity")
    benchmark: str = Field(description="name or TOML file of the benchmark")
    base: str = Field(description="what is compared with: a revision, a Python or a baseline file")
    head: str = Field(description="what is checked")
    order_seed: int | None = Field(description="random seed of the session order; null against a baseline")
    advisory: list[str] = Field(description="why a regression does not fail the build; empty if it does")
    quantities: dict[str, FindingRecord] = Field(
        description="verdict on each quantity: throughput, mean throughput if only that is slower, memory, smoke, "
        "divergence if a seed diverged, 'TITLE, not finite' if a score is not, scores and targets; code if it is the "
        "same, dependencies if their declarations differ, baseline if it was only recorded, incomplete if a part failed"
    )
    phases: dict[str, dict[SideName, float]] = Field(
        description="seconds per image in each phase of training, by side: medians over sessions; empty without them"
    )
    differences: dict[str, dict[str, tuple[Any, ...]]] = Field(
        description="fields of spec, engine, environment and plugins that differ, with the values of base and head"
    )
    sessions: dict[SideName, list[Session]] = Field({}, description="measurements of speed and memory, by side")
    smoke: dict[SideName, list[TrainingRun]] = Field({}, description="short runs with one seed, by side")
    quality: dict[SideName, list[TrainingRun]] = Field({}, description="complete runs, one per seed, by side")

    @classmethod
    def of(cls, check: Check) -> CheckRecord:
        base, head = check.names
        measured = check.measurements
        parts = {"sessions": measured.sessions, "smoke": measured.smoke, "quality": measured.quality}
        sides: dict[str, Any] = {name: {"base": part.base, "head": part.head} for name, part in parts.items() if part}
        phases = phase_seconds(measured.sessions) if measured.sessions else {}
        return cls(
            verdict=check.verdict,
            benchmark=check.benchmark,
            base=base,
            head=head,
            order_seed=check.order_seed,
            advisory=list(check.advisory),
            quantities={name: FindingRecord.of(finding) for name, finding in check.findings.items()},
            phases={phase: {"base": before, "head": after} for phase, (before, after) in phases.items()},
            differences=check.differences,
            **sides,
        )


def finite(number: float) -> float | None:
    """Return the number; None if it is infinite or NaN, which JSON does not have."""
    return number if math.isfinite(number) else None
