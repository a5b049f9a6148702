"""What `ganbench sweep --json` prints."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pydantic import Field

from ganbench.results.record import Record

from .sweep import Outcome, Sweep


class Agreement(Record):
    """For how many points theory predicts the outcome."""

    points: int = Field(description="points where it does")
    of: int = Field(description="points where both are conclusive")


class SweepRecord(Record):
    """The outcomes of a sweep; the points are in sweep.csv."""

    benchmark: str = Field(description="name of the benchmark")
    metric: str = Field(description="title of the metric that determines the outcomes")
    outcomes: dict[Outcome, int] = Field(description="number of points with each outcome")
    best: dict[str, int | float] | None = Field(
        description="values of the parameters with the best final score, by path; null if no score is finite"
    )
    agrees_with_theory: Agreement | None = Field(
        description="for how many points theory predicts the outcome; null without --theory, or if no point is "
        "conclusive"
    )
    files: list[str] = Field(description="paths of the files that were written")

    @classmethod
    def of(cls, sweep: Sweep, folder: Path) -> SweepRecord:
        best, agreement = sweep.best(), sweep.agrees_with_theory()
        return cls(
            benchmark=sweep.benchmark,
            metric=sweep.metric,
            outcomes=Counter(sweep.outcomes()),
            best={axis.path: value for axis, value in zip(sweep.axes, best.values, strict=True)} if best else None,
            agrees_with_theory=Agreement(points=agreement.count(True), of=len(agreement)) if agreement else None,
            files=[str(folder / file) for file in ("sweep.csv", "sweep.png")],
        )
