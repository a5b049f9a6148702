"""Leaderboards: scores of many runs, by protocol, summarized over seeds and ranked only as far as tests support it.

All pairs of rows are compared, by paired t-tests over their common seeds, with Holm's correction for their number.
Comparing each row only with the best one would report too many differences, because the data choose the best one;
comparing only neighbors would leave most questions open. `python -m benchmarks.leaderboard_errors` simulates these.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

from ganbench.errors import MissingError, UsageError

from .comparability import compare_scores
from .differences import differing_fields, flatten
from .leaderboard_rows import differing_code, group_by_row
from .run_collection import FoundRun
from .schema import MetricResult, Result
from .statistics import ALPHA, PairedDifference, Summary, holm, pair, summarize

SCORED, COMPLETED, DIVERGED, UNFINISHED = range(4)  # outcomes of runs, with regard to one metric and protocol


@dataclass(frozen=True)
class Row:
    """Runs that differ only in their seeds."""

    label: str
    scores: dict[int, MetricResult]  # of completed runs with this protocol, by seed
    results: tuple[Result, ...]  # of the same runs
    statuses: dict[str, int]  # how many runs ended in each way, or have not ended
    repeats: int = 0  # further runs with this score, or that diverged, whose seed another one has

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

    @property
    def not_finite(self) -> int:
        """How many of the completed runs have no finite score."""
        return len(self.scores) - len(self.last)

    @property
    def other_protocol(self) -> int:
        """How many of the completed runs have no score of this protocol."""
        return self.statuses.get("completed", 0) - len(self.scores)

    @property
    def ended_early(self) -> int:
        """How many of the completed runs ended before the end of their schedule, by their budget or a target."""
        return sum(result.ended_early for result in self.results)

    @property
    def without_score(self) -> int:
        """How many runs ended in another way than with a finite score, or have not ended."""
        return sum(self.statuses.values()) - len(self.last)


@dataclass(frozen=True)
class RowComparison:
    """Two rows, by their positions, and whether they differ significantly."""

    rows: tuple[int, int]
    difference: PairedDifference
    level: float  # by Holm

    @property
    def significant(self) -> bool:
        return self.difference.p_value <= self.level

    @property
    def seeds_needed(self) -> int | None:
        """How many seeds would find the difference significant with a power of 90%, if it is as observed.

        None if that is unknown, or too many.
        """
        return self.difference.seeds_needed(self.level)


@dataclass(frozen=True)
class Leaderboard:
    """Rows whose scores have one protocol, the best mean first."""

    metric: str  # label
    higher_is_better: bool
    protocol: dict[str, Any]
    rows: tuple[Row, ...]
    # fields of the protocol in which other leaderboards of the metric differ
    distinctive: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def comparisons(self) -> list[RowComparison]:
        """All pairs of rows with at least two common seeds, which a paired test needs."""
        repeated = [position for position, row in enumerate(self.rows) if len(row.last) > 1]
        pairs = combinations(repeated, 2)
        return compare_pairs({rows: found for rows in pairs if (found := self._difference(*rows)) is not None})

    @property
    def untested_pairs(self) -> int:
        """The number of pairs of rows that have scores, but fewer than two common seeds."""
        return math.comb(sum(bool(row.last) for row in self.rows), 2) - len(self.comparisons)

    def _difference(self, one: int, other: int) -> PairedDifference | None:
        first, second = self.rows[one].last, self.rows[other].last
        seeds = sorted(first.keys() & second.keys())
        return pair([first[seed] for seed in seeds], [second[seed] for seed in seeds])

    @property
    def has_partial_tests(self) -> bool:
        """Whether a test is over fewer seeds than the means of its rows, because their seeds differ."""
        return any(
            pair.difference.seeds < max(len(self.rows[position].last) for position in pair.rows)
            for pair in self.comparisons
        )

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
        throughputs = (result.throughput for row in self.rows for result in row.results)
        return differing_fields(each.conditions for each in throughputs if each.mean_images_per_second is not None)

    @property
    def software_differences(self) -> dict[str, tuple[Any, ...]]:
        """The software, and the code of plugins, in which the runs differ although they are ranked."""
        software = compare_scores(score for row in self.rows for score in row.scores.values()).software
        return {**software, **differing_code(result for row in self.rows for result in row.results)}


def compare_pairs(differences: Mapping[tuple[int, int], PairedDifference]) -> list[RowComparison]:
    """Test pairs of rows, by their positions, with Holm's correction."""
    levels = holm([difference.p_value for difference in differences.values()], ALPHA)
    return [
        RowComparison(rows, difference, level)
        for (rows, difference), level in zip(differences.items(), levels, strict=True)
    ]


def ranks(count: int, comparisons: Iterable[RowComparison], scored: Sequence[bool], sign: int) -> list[int | None]:
    better: Counter[int] = Counter()
    for comparison in comparisons:
        if comparison.significant:
            one, other = comparison.rows
            better[other if sign * comparison.difference.mean < 0 else one] += 1
    return [1 + better[position] if scored[position] else None for position in range(count)]


def make_leaderboards(runs: Sequence[FoundRun], by: str | None = None) -> list[Leaderboard]:
    """Return a leaderboard for each protocol with which the metric `by` was measured, the one with most rows first.

    `by` is the id, the name or the label of a metric; by default, the first metric of the first result. Raises
    `UsageError` if no completed run has it, and `MissingError` if none has any.
    """
    rows = group_by_row(runs)
    completed = [run.result for run in runs if run.result and run.result.status == "completed"]
    scored = [metric for result in completed for metric in result.metrics if metric.higher_is_better is not None]
    known = list(dict.fromkeys(metric.id for metric in scored))
    if not known:
        found = ", ".join(f"{count} {status}" for status, count in Counter(run.status for run in runs).items())
        raise MissingError(f"nothing to rank: no completed run has a score (runs found: {found})")
    by = known[0] if by is None else by
    matching = [metric for metric in scored if by in names_of(metric)]
    if not matching:
        raise UsageError(f"--by {by}: no completed run has such a score; available: {', '.join(sorted(known))}")
    boards = [make_leaderboard(metric, rows) for metric in distinct(matching)]
    boards = sorted(boards, key=lambda board: -sum(bool(row.scores) for row in board.rows))
    return [replace(board, distinctive=distinctive_fields(board, boards)) for board in boards]


def ranked_labels(runs: Iterable[FoundRun]) -> list[str]:
    """Return the labels of the scores by which completed runs can be ranked."""
    completed = [run.result for run in runs if run.result and run.result.status == "completed"]
    scores = (metric for result in completed for metric in result.metrics if metric.higher_is_better is not None)
    return list(dict.fromkeys(score.label for score in scores))


def make_leaderboard(metric: MetricResult, rows: Mapping[str, Sequence[FoundRun]]) -> Leaderboard:
    """Return the leaderboard of one metric with one protocol; rows that never had another protocol are in it, too."""
    found = [row for label, runs in rows.items() if (row := make_row(label, runs, metric))]

    def order(row: Row) -> tuple[bool, float]:
        mean = row.summary.mean if row.summary else 0.0
        return row.summary is None, -mean if metric.higher_is_better else mean

    higher_is_better = bool(metric.higher_is_better)
    return Leaderboard(metric.label, higher_is_better, metric.protocol, tuple(sorted(found, key=order)))


def make_row(label: str, runs: Iterable[FoundRun], metric: MetricResult) -> Row | None:
    """Return the row of these runs, one for each seed; None if they completed, but all without this score.

    Of several runs with one seed, the first with this score counts, or else the one that got furthest.
    """
    counted: dict[int, FoundRun] = {}
    repeats = 0
    for run in runs:
        before = counted.get(run.seed)
        if before is None:
            counted[run.seed] = run
            continue
        further, other = (run, before) if outcome(run, metric) < outcome(before, metric) else (before, run)
        counted[run.seed] = further
        repeats += outcome(other, metric) in (SCORED, DIVERGED)
    completed = [run for run in counted.values() if run.result and run.result.status == "completed"]
    scores = {run.seed: score for run in completed if (score := same_score(run.result, metric))}
    if completed and not scores:
        return None
    results = tuple(run.result for run in completed if run.result and run.seed in scores)
    return Row(label, scores, results, dict(Counter(run.status for run in counted.values())), repeats)


def outcome(run: FoundRun, metric: MetricResult) -> int:
    """Return how far a run got: the less, the further."""
    if run.status == "completed":
        return SCORED if same_score(run.result, metric) else COMPLETED
    return DIVERGED if run.status == "diverged" else UNFINISHED


def distinct(metrics: Iterable[MetricResult]) -> list[MetricResult]:
    """Return one of all scores that may be ranked together."""
    kept: list[MetricResult] = []
    for metric in metrics:
        if not any(is_same(metric, other) for other in kept):
            kept.append(metric)
    return kept


def distinctive_fields(board: Leaderboard, boards: Iterable[Leaderboard]) -> dict[str, Any]:
    own = flatten(board.protocol)
    others = (flatten(other.protocol) for other in boards if other.metric == board.metric)
    return {path: own.get(path) for path in differing_fields([own, *others])}


def same_score(result: Result | None, metric: MetricResult) -> MetricResult | None:
    """Return the result's score of this metric with this protocol, if there is one."""
    return next((other for other in result.metrics if is_same(other, metric)), None) if result else None


def is_same(one: MetricResult, other: MetricResult) -> bool:
    names = {metric.name.partition("@")[0] for metric in (one, other)}  # a package may be given, as fid@ganbench
    same = len(names) == 1 and one.label == other.label and one.higher_is_better == other.higher_is_better
    return same and compare_scores([one, other]).comparable


def names_of(metric: MetricResult) -> tuple[str, str, str]:
    return metric.id, metric.name, metric.label
