"""Leaderboards: scores of many runs, by protocol, summarized over seeds and ranked only as far as tests support it.

All pairs of rows are compared, by paired t-tests over their common seeds, with Holm's correction for their number.
Comparing each row only with the best one would report too many differences, because the data choose the best one;
comparing only neighbors would leave most questions open. `python -m benchmarks.leaderboard_errors` simulates these.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from ganbench.errors import UsageError

from .comparability import compare_scores
from .differences import differing_fields, flatten
from .run_collection import FoundRun
from .schema import NON_TRAINING_FIELDS, MetricResult, Result
from .statistics import ALPHA, PairedDifference, Summary, holm, pair, summarize

SEED = "training.seed"


@dataclass(frozen=True)
class Row:
    """Runs that differ only in their seeds."""

    label: str
    scores: dict[int, MetricResult]  # of completed runs with this protocol, by seed
    results: tuple[Result, ...]  # of the same runs
    statuses: dict[str, int]  # how many runs ended in each way, or have not ended

    @cached_property
    def last(self) -> dict[int, float]:
        """The score at the end of training, by seed; runs without a finite one are left out."""
        return {seed: score.value for seed, score in self.scores.items() if score.value is not None}

    @cached_property
    def summary(self) -> Summary | None:
        return summarize(list(self.last.values()))

    @property
    def best(self) -> Summary | None:
        """Summary of the best score of each run at any time."""
        points = (score.best for score in self.scores.values())
        return summarize([point.value for point in points if point and point.value is not None])

    @property
    def images_per_second(self) -> float | None:
        summary = summarize([rate for r in self.results if (rate := r.throughput.mean_images_per_second) is not None])
        return summary.mean if summary else None

    @property
    def disturbed(self) -> bool:
        return any(result.throughput.disturbed for result in self.results)


@dataclass(frozen=True)
class Comparison:
    """Two rows, by their positions, and whether the test tells them apart."""

    rows: tuple[int, int]
    difference: PairedDifference | None  # None with fewer than two common seeds
    p_value: float
    level: float  # by Holm

    @property
    def told_apart(self) -> bool:
        return self.p_value <= self.level

    @property
    def seeds_needed(self) -> int | None:
        """How many seeds would tell them apart in 9 of 10 cases, if the difference is as observed; None: too many."""
        return self.difference.seeds_needed(self.level) if self.difference else None


@dataclass(frozen=True)
class Leaderboard:
    """Rows whose scores have one protocol, the best mean first."""

    metric: str  # label
    higher_is_better: bool
    protocol: dict[str, Any]
    rows: tuple[Row, ...]

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """All pairs of rows that have scores."""
        scored = [position for position, row in enumerate(self.rows) if row.last]
        pairs = list(combinations(scored, 2))
        return compare_pairs(pairs, [self._difference(*rows) for rows in pairs])

    def _difference(self, one: int, other: int) -> PairedDifference | None:
        first, second = self.rows[one].last, self.rows[other].last
        seeds = sorted(first.keys() & second.keys())
        return pair([first[seed] for seed in seeds], [second[seed] for seed in seeds])

    @property
    def ranks(self) -> list[int | None]:
        """1 + the number of rows that are better by the tests; None for rows without a score."""
        return ranks(len(self.rows), self.comparisons, [bool(row.last) for row in self.rows], self._sign)

    @property
    def _sign(self) -> int:
        return -1 if self.higher_is_better else 1

    @property
    def speed_differences(self) -> dict[str, tuple[Any, ...]]:
        """The conditions in which the speeds of the rows differ, so that they are not comparable."""
        return differing_fields(result.throughput.conditions for row in self.rows for result in row.results)

    @property
    def software_differences(self) -> dict[str, tuple[Any, ...]]:
        return compare_scores(score for row in self.rows for score in row.scores.values()).software


def compare_pairs(pairs: Sequence[tuple[int, int]], differences: Sequence[PairedDifference | None]) -> list[Comparison]:
    """Test pairs of rows with Holm's correction; pairs without a difference cannot be tested."""
    tested = [number for number, difference in enumerate(differences) if difference]
    p_values = [difference.p_value for difference in differences if difference]
    levels = dict(zip(tested, holm(p_values, ALPHA), strict=True))
    return [
        Comparison(rows, difference, difference.p_value if difference else 1.0, levels.get(number, 0.0))
        for number, (rows, difference) in enumerate(zip(pairs, differences, strict=True))
    ]


def ranks(count: int, comparisons: Iterable[Comparison], scored: Sequence[bool], sign: int) -> list[int | None]:
    better: Counter[int] = Counter()
    for comparison in comparisons:
        if comparison.told_apart and comparison.difference:
            one, other = comparison.rows
            better[other if sign * comparison.difference.mean < 0 else one] += 1
    return [1 + better[position] if scored[position] else None for position in range(count)]


def make_leaderboards(runs: Sequence[FoundRun], by: str | None = None) -> list[Leaderboard]:
    """Return a leaderboard for each protocol with which the metric `by` was measured, the one with most rows first.

    `by` is the id, the name or the label of a metric; by default, the first metric of the first result. Raises
    `UsageError` if no completed run has it.
    """
    rows = group_by_row(runs)
    completed = [run.result for run in runs if run.result and run.result.status == "completed"]
    by = by or next((metric.id for result in completed for metric in result.metrics), None)
    matching = [metric for result in completed for metric in result.metrics if by in names_of(metric)]
    if not matching:
        known = sorted({metric.id for result in completed for metric in result.metrics})
        raise UsageError(f"--by {by}: no completed run has this metric; available: {', '.join(known) or 'none'}")
    protocols: dict[str, MetricResult] = {}
    for metric in matching:
        protocols.setdefault(json.dumps([metric.name, metric.label, metric.protocol], sort_keys=True), metric)
    boards = [make_leaderboard(metric, rows) for metric in protocols.values()]
    return sorted(boards, key=lambda board: -sum(bool(row.scores) for row in board.rows))


def make_leaderboard(metric: MetricResult, rows: dict[str, list[FoundRun]]) -> Leaderboard:
    """Return the leaderboard of one metric with one protocol; rows that never had another protocol are in it, too."""
    found: list[Row] = []
    for label, runs in rows.items():
        completed = [run for run in runs if run.result and run.result.status == "completed"]
        scores = {run.seed: score for run in completed if (score := same_score(run.result, metric))}
        if scores or not completed:
            results = tuple(run.result for run in completed if run.result and same_score(run.result, metric))
            found.append(Row(label, scores, results, dict(Counter(run.status for run in runs))))

    def order(row: Row) -> tuple[bool, float]:
        mean = row.summary.mean if row.summary else 0.0
        return row.summary is None, -mean if metric.higher_is_better else mean

    return Leaderboard(metric.label, metric.higher_is_better, metric.protocol, tuple(sorted(found, key=order)))


def same_score(result: Result | None, metric: MetricResult) -> MetricResult | None:
    """Return the result's score of this metric with this protocol, if there is one."""
    for other in result.metrics if result else ():
        if (other.name, other.label) == (metric.name, metric.label) and compare_scores([other, metric]).comparable:
            return other
    return None


def names_of(metric: MetricResult) -> tuple[str, str, str]:
    return metric.id, metric.name, metric.label


def group_by_row(runs: Iterable[FoundRun]) -> dict[str, list[FoundRun]]:
    """Return the runs by row, that is, by everything that affects results except the seed.

    Of several runs with one seed, the completed one counts, or else the last.
    """
    rows: dict[str, dict[int, FoundRun]] = {}
    for run in runs:
        row = rows.setdefault(json.dumps(row_fields(run), sort_keys=True), {})
        if run.seed not in row or row[run.seed].status != "completed":
            row[run.seed] = run
    found = [list(row.values()) for row in rows.values()]
    return dict(zip(row_labels([row[0] for row in found]), found, strict=True))


def row_fields(run: FoundRun) -> dict[str, Any]:
    """Return what the runs of a row have in common; an evaluation, whose seed is unknown, is a row of its own."""
    relevant = {key: value for key, value in run.spec.items() if key not in NON_TRAINING_FIELDS}
    relevant["processes"] = run.processes
    own = {} if run.trained else {"file": str(run.path)}
    return {path: value for path, value in flatten(relevant | own).items() if path != SEED}


def row_labels(runs: Sequence[FoundRun]) -> list[str]:
    """Return a distinct label for each row: the benchmark's name, and as few differing fields as possible."""
    labels = [run.name for run in runs]
    flat = [row_fields(run) for run in runs]
    differing = sorted(differing_fields(flat), key=lambda path: (path.count("."), not path.endswith("name")))
    for path in differing:
        if len(set(labels)) == len(runs):
            break
        longer = [f"{label}, {field_text(path, fields.get(path))}" for label, fields in zip(labels, flat, strict=True)]
        if len(set(longer)) > len(set(labels)):
            labels = longer
    return labels


def field_text(path: str, value: Any) -> str:
    return f"{path.removesuffix('.name')}={'none' if value is None else value}"
