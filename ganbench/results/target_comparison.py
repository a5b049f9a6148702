"""How much training several results took to reach the same target, and which took least."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .comparability import ScoreDifferences, compare_scores
from .differences import differing_fields
from .schema import MetricResult, Result, metric_titles
from .target import Evaluation, TargetResult
from .time_to_target import time_to_target

Unit = Literal["images", "seconds", "joules"]
UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True)
class TargetComparison:
    """A target in all results, in their order."""

    times: tuple[TargetResult | None, ...]  # None for a result without the metric or without training
    scores: ScoreDifferences  # if protocols differ, nothing is ranked
    hardware: dict[str, tuple[Any, ...]]  # fields that differ: seconds and joules are not ranked
    disturbed: bool  # other processes slowed a run down: seconds and joules are not ranked

    @property
    def title(self) -> str:
        return str(next(time for time in self.times if time is not None))

    def obstacles(self, unit: Unit) -> list[str]:
        """Return why the results are not ranked in this unit, if they are not.

        Everything but the hardware may be what made a run faster, also its batch size or precision.
        """
        reasons = [f"{name} differs" for name in self.scores.protocol]
        if unit != "images":
            reasons += [f"{name} differs" for name in self.hardware]
        if unit != "images" and self.disturbed:  # a GPU that waits uses energy, too
            reasons.append("a result was disturbed")
        return reasons

    def best(self, unit: Unit) -> int | None:
        """Return the index of the result that certainly took least, given the schedules of scores; None if unknown.

        It reached the target before, or when, each other one still had not.
        """
        if self.obstacles(unit):
            return None
        known = {index: time for index, time in enumerate(self.times) if time is not None}
        for index, time in known.items():
            others = [other for position, other in known.items() if position != index]
            reached = amount(time.reached, unit, math.inf)
            if others and all(reached <= amount(other.missed, unit, -math.inf) for other in others):
                return index
        return None


def amount(evaluation: Evaluation | None, unit: Unit, missing: float) -> float:
    """Return the training before a score in this unit; `missing` if there is no such score, or NaN if not measured."""
    if evaluation is None:
        return missing
    value = getattr(evaluation, unit)
    return math.nan if value is None else value


def compare_targets(
    results: Sequence[Result], metric_rows: Iterable[Sequence[MetricResult | None]]
) -> Iterable[TargetComparison]:
    """Yield each target of any of the results; a result without it is judged by its scores all the same.

    `metric_rows` are the metrics of all results, aligned.
    """
    for row in metric_rows:
        pairs = list(zip(results, row, strict=True))
        wanted = dict.fromkeys(
            target.value
            for result, metric in pairs
            for target in result.targets
            if metric is not None and target.metric == metric.id
        )
        # an evaluation of files has scores, but no windows
        trained = [result for result, metric in pairs if metric is not None and result.throughput.windows]
        hardware = differing_fields(
            {**result.environment.must_match, "processes": result.throughput.processes} for result in trained
        )
        disturbed = any(result.throughput.disturbed for result in trained)
        scores = compare_scores(metric for metric in row if metric is not None)
        for value in wanted:
            times = tuple(
                None
                if metric is None or not result.throughput.windows
                else time_to_target(metric, metric_titles(result.metrics)[metric.id], value, result.throughput.windows)
                for result, metric in pairs
            )
            yield TargetComparison(times, scores, hardware, disturbed)
