"""What `ganbench leaderboard --json` prints: a list of leaderboards."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ganbench.results.leaderboard import Leaderboard, Row, RowComparison
from ganbench.results.record import Record
from ganbench.results.statistics import PairedDifference, Summary


class RowRecord(Record):
    """Runs that differ only in their seeds."""

    rank: int | None = Field(
        description="1 plus the number of rows that are significantly better; null without a score"
    )
    label: str = Field(description="name of the benchmark, and the settings that tell the row from others")
    statuses: dict[str, int] = Field(description="number of runs by how they ended; unfinished if they have not")
    repeats: int = Field(
        description="further runs with such a score, or that diverged, whose seed another one has; they are left out"
    )
    ended_early: int = Field(
        description="completed runs that ended before the end of their schedule, by a budget or a target"
    )
    scores: dict[str, float | None] = Field(
        description="score at the end of each completed run, by seed; null if not finite"
    )
    warnings: dict[str, list[str]] = Field(
        description="why a score may be misleading, by seed; runs without a warning are left out"
    )
    last: Summary | None = Field(description="summary of `scores`; null without a finite one")
    best: Summary | None = Field(description="summary of each run's best score at any time; null without a finite one")
    images_per_second: float | None = Field(
        description="training speed in images/s, mean over the runs; null without training"
    )
    disturbed: bool = Field(description="whether the speed of a run is unreliable")

    @classmethod
    def of(cls, rank: int | None, row: Row) -> RowRecord:
        return cls(
            rank=rank,
            label=row.label,
            statuses=row.statuses,
            repeats=row.repeats,
            ended_early=row.ended_early,
            scores={str(seed): score.value for seed, score in sorted(row.scores.items())},
            warnings={str(seed): score.warnings for seed, score in sorted(row.scores.items()) if score.warnings},
            last=row.summary,
            best=row.best,
            images_per_second=row.images_per_second,
            disturbed=row.disturbed,
        )


class PairRecord(Record):
    """Two rows, compared by a paired t-test over their common seeds."""

    rows: tuple[str, str] = Field(description="labels of both rows")
    difference: PairedDifference = Field(description="differences of their scores")
    p_value: float = Field(description="two-sided p-value, 0 to 1")
    level: float = Field(description="significance level by Holm's correction for the number of pairs")
    significant: bool = Field(description="whether `p_value` is at most `level`")
    seeds_needed: int | None = Field(
        description="seeds with which the test finds such a difference in 9 of 10 cases; null if it was found, and "
        "for more than 1000"
    )

    @classmethod
    def of(cls, pair: RowComparison, board: Leaderboard) -> PairRecord:
        first, second = (board.rows[position].label for position in pair.rows)
        return cls(
            rows=(first, second),
            difference=pair.difference,
            p_value=pair.difference.p_value,
            level=pair.level,
            significant=pair.significant,
            seeds_needed=None if pair.significant else pair.seeds_needed,
        )


class LeaderboardRecord(Record):
    """Rows whose scores have the same protocol, the best mean first."""

    metric: str = Field(description="title of the metric")
    higher_is_better: bool = Field(description="whether higher scores are better")
    protocol: dict[str, Any] = Field(description="how and on what all scores were measured")
    software_differences: list[str] = Field(description="fields in which the software of the scores differs")
    speed_differences: list[str] = Field(
        description="conditions that differ between the runs, so that their speeds are not comparable"
    )
    rows: list[RowRecord] = Field(description="all rows, those without a score last")
    comparisons: list[PairRecord] = Field(description="all pairs of rows with at least two common seeds")

    @classmethod
    def of(cls, board: Leaderboard) -> LeaderboardRecord:
        return cls(
            metric=board.metric,
            higher_is_better=board.higher_is_better,
            protocol=board.protocol,
            software_differences=list(board.software_differences),
            speed_differences=list(board.speed_differences),
            rows=[RowRecord.of(rank, row) for rank, row in zip(board.ranks, board.rows, strict=True)],
            comparisons=[PairRecord.of(pair, board) for pair in board.comparisons],
        )
