"""The gate: head beside base in one job, or beside what was stored, and what is said of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ganbench.errors import UsageError
from ganbench.spec.benchmark import GateOptions

from . import smoke, speed
from .baseline import Baseline, need_same_conditions, need_same_training
from .calibration import calibrated_noise_floor
from .probe import NOTHING_TO_MEASURE, are_equal, probe_sides
from .quality import Quality, seeds_of, train_seeds
from .session import Session
from .side import Arm, Measurement
from .speed import QUADS, Sessions, need_unchanged
from .training import Trainings
from .verdict import (
    Finding,
    Threshold,
    Verdict,
    judge,
    judge_all,
    overall,
    share_of_level,
)

FRESH_SESSIONS = 4


@dataclass(frozen=True)
class Plan:
    """What is measured, and what is too much worse."""

    measurement: Measurement
    margins: GateOptions = field(default_factory=GateOptions)
    speed: bool = True
    smoke: bool = True
    quality: bool = False
    always_measure: bool = False  # even where both sides are the same
    quads: int = QUADS  # of sessions, in one job
    sessions: int = FRESH_SESSIONS  # beside stored ones
    training_seed: int = 0  # the benchmark's own
    metrics: tuple[str, ...] = ()  # of the benchmark
    words: frozenset[str] = frozenset()  # values in the benchmark's spec that are no paths, whatever files there are
    order_seed: int = 0  # of the order of sessions
    told: Callable[[str], None] = lambda _: None  # hears how it goes

    @property
    def level(self) -> float:
        """Of a false alarm: for speed, and for all scores together."""
        return share_of_level(speed=self.speed, scores=self.quality)

    def __post_init__(self) -> None:
        """Raises `UsageError` where there is no score to judge."""
        if self.quality and not self.metrics:
            raise UsageError(f"--quality judges scores, and the benchmark {self.measurement.benchmark} has no metrics")


@dataclass(frozen=True)
class Evidence:
    """All that was measured of two sides; None for what was not asked for."""

    sessions: Sessions | None = None
    smoke: Trainings | None = None
    quality: Trainings | None = None

    def need_unchanged(self) -> None:
        """Raise `NotComparableError` if the code of a side was changed between two of its sessions or trainings."""
        parts = [part for part in (self.sessions, self.smoke, self.quality) if part]
        for side in ("base", "head"):
            need_unchanged([record.code for part in parts for record in getattr(part, side)])


@dataclass(frozen=True)
class Check:
    """What came of a comparison."""

    benchmark: str
    names: tuple[str, str]  # of base and head, as people know them
    evidence: Evidence
    findings: dict[str, Finding]
    order_seed: int | None = None  # where sides were interleaved
    advisory: tuple[str, ...] = ()  # why nothing found must fail a build, if so

    @property
    def verdict(self) -> Verdict:
        return overall(finding.verdict for finding in self.findings.values())

    @property
    def differences(self) -> dict[str, dict[str, tuple[Any, ...]]]:
        """In what the two sides differ beside their figures."""
        return speed.differences(self.evidence.sessions) if self.evidence.sessions else {}


def check_interleaved(base: Arm, head: Arm, plan: Plan) -> Check:
    """Measure both sides, and judge head. Where both would run the very same, they pass at once.

    Raises `NotComparableError` where the sides ran under different conditions or code that is not theirs,
    `SessionError` where one crashed.
    """
    measurement, told = plan.measurement, plan.told
    if not plan.always_measure and are_equal(base, head, probe_sides(base, head, measurement)):
        findings = {"code": NOTHING_TO_MEASURE}
        return Check(measurement.benchmark, (base.name, head.name), Evidence(), findings, plan.order_seed)
    sessions = smoked = seeded = None
    if plan.smoke:
        repeats = smoke.train_repeats(base, measurement, smoke.REPEATS, told)
        smoked = Trainings(repeats, smoke.train_repeats(head, measurement, 1, told))
    if plan.speed:
        threshold = throughput_threshold(plan.margins.time_percent, measurement)
        order = random.Random(plan.order_seed)
        sessions = speed.measure_interleaved(base, head, measurement, threshold, plan.level, plan.quads, order, told)
    if plan.quality:
        base_seeds, head_seeds = seeds_of(plan.training_seed)
        of_base = train_seeds(base, measurement, base_seeds, told)
        seeded = Trainings(of_base, train_seeds(head, measurement, head_seeds, told))
    evidence = Evidence(sessions, smoked, seeded)
    evidence.need_unchanged()
    return Check(
        benchmark=measurement.benchmark,
        names=(base.name, head.name),
        evidence=evidence,
        findings=judged(evidence, plan, plan.margins.time_percent),
        order_seed=plan.order_seed,
    )


def check_stored(baselines: Mapping[str, Baseline], head: Arm, plan: Plan) -> list[Check]:
    """Measure head, and judge it against every baseline: a rolling one and a pinned one together let nothing creep in.

    Raises `NotComparableError` where a baseline was measured under other conditions, `MissingError` where it lacks what
    is to be judged, `SessionError` where a session crashed.
    """
    measurement, told = plan.measurement, plan.told
    for name, baseline in baselines.items():
        baseline.need(name, speed=plan.speed, smoke=plan.smoke, quality=plan.quality)
        if plan.speed:
            baseline.need_windows(name, measurement)

    def need_comparable(session: Session) -> None:
        for baseline in baselines.values():
            need_same_conditions(baseline, session)

    smoked = smoke.train_repeats(head, measurement, 1, told) if plan.smoke else []
    sessions = speed.measure_fresh(head, measurement, plan.sessions, told, need_comparable) if plan.speed else []
    seeded = train_seeds(head, measurement, seeds_of(plan.training_seed)[1], told) if plan.quality else []
    need_unchanged([record.code for records in (sessions, smoked, seeded) for record in records])
    checks = []
    for name, baseline in baselines.items():
        if plan.smoke:
            need_same_training(baseline.smoke[0], smoked[0])
        if plan.quality:
            need_same_training(baseline.quality[0], seeded[0])
        evidence = Evidence(
            Sessions(baseline.sessions, sessions, in_pairs=False) if plan.speed else None,
            Trainings(baseline.smoke, smoked) if plan.smoke else None,
            Trainings(baseline.quality, seeded) if plan.quality else None,
        )
        reasons = baseline.advisory(sessions[0]) if plan.speed else []
        reasons += baseline.advisory_scores(seeded[0]) if plan.quality else []
        findings = judged(evidence, plan, plan.margins.baseline_time_percent)
        check = Check(
            benchmark=measurement.benchmark,
            names=(name, head.name),
            evidence=evidence,
            findings={figure: without_force(finding, reasons) for figure, finding in findings.items()},
            advisory=tuple(reasons),
        )
        checks.append(check)
    return checks


def judged(evidence: Evidence, plan: Plan, throughput_margin: float) -> dict[str, Finding]:
    """What is said of each figure. Those that scatter share the level of a false alarm."""
    sessions, findings = evidence.sessions, {}
    if sessions:
        threshold = throughput_threshold(throughput_margin, plan.measurement)(sessions.base[0])
        judgement = judge(sessions.estimate(), threshold, plan.level)
        findings["throughput"] = speed.throughput_finding(sessions, judgement)
        if memory := speed.memory_finding(sessions, plan.margins):
            findings["memory"] = memory
    if evidence.smoke:
        findings["smoke"] = smoke.smoke_finding(evidence.smoke)
    if evidence.quality:
        quality = Quality(evidence.quality, plan.margins)
        estimates = quality.estimates()
        thresholds = {label: quality.threshold(label) for label in estimates}
        findings |= quality.findings(judge_all(estimates, thresholds, plan.level))
    return findings


def throughput_threshold(margin: float, measurement: Measurement) -> Callable[[Session], Threshold]:
    """The threshold under the conditions of a session, for a margin in per cent."""
    return lambda session: Threshold(margin / 100, calibrated_noise_floor(session, measurement))


def without_force(finding: Finding, reasons: list[str]) -> Finding:
    """The finding, not called a regression where there are reasons why it must not fail a build."""
    if not reasons or finding.verdict != Verdict.REGRESSED:
        return finding
    sentence = f"{finding.sentence}; advisory only: {'; '.join(reasons)}"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, sentence=sentence)
