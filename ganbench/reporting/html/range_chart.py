"""Range charts: one value per run with its spread and its bound, with the table of their data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ganbench.results.throughput import rate_text

from .scale import Scale, finite
from .tables import PageRow, PageTable

MAX_BOUND = 4.0  # times the largest value; a bound further away is not drawn, only written
NAME_LENGTH = 30  # characters that fit into the chart beside the bound


@dataclass(frozen=True)
class Range:
    """A mean with the 10th and 90th percentile, and the bound that it cannot exceed; None if that is unknown."""

    name: str
    style: int
    mean: float
    p10: float
    p90: float
    bound: float | None
    why_no_bound: str | None = None

    @property
    def short_name(self) -> str:
        return self.name if len(self.name) <= NAME_LENGTH else f"{self.name[: NAME_LENGTH - 1]}…"


class RangeChart:
    """Ranges beneath one another over one axis that begins at 0."""

    kind = "ranges"
    width, left, right, top, row_height = 480, 14, 466, 10, 46

    def __init__(self, title: str, ranges: Iterable[Range], bound_title: str) -> None:
        self.title, self.bound_title = title, bound_title
        self.ranges = [each for each in ranges if None not in map(finite, (each.mean, each.p10, each.p90))]

    @cached_property
    def x(self) -> Scale:
        largest = max((max(each.mean, each.p90) for each in self.ranges), default=1.0) or 1.0
        bounds = [each.bound for each in self.ranges if each.bound is not None and each.bound <= MAX_BOUND * largest]
        return Scale(0.0, 1.06 * max(largest, *bounds, 0.0), self.left, self.right)

    @property
    def bottom(self) -> int:
        return self.top + self.row_height * len(self.ranges)

    @property
    def height(self) -> int:
        return self.bottom + 44

    def shows_bound(self, each: Range) -> bool:
        return each.bound is not None and each.bound <= self.x.high

    @property
    def note(self) -> str:
        """What the marks mean."""
        if any(map(self.shows_bound, self.ranges)):
            bound = f"vertical line: {self.bound_title}"
        elif any(each.bound is not None for each in self.ranges):
            bound = f"the {self.bound_title} is off the axis"
        else:
            bound = f"no {self.bound_title} is known, see the data"
        return f"Dot: mean; bar: p10 to p90 of the timing windows; {bound}."

    @property
    def summary(self) -> str:
        """The chart in one sentence, for those who cannot see it."""
        parts = [
            f"{each.name} {rate_text(each.mean)}, p10 {rate_text(each.p10)}, p90 {rate_text(each.p90)}"
            for each in self.ranges
        ]
        return f"{self.title}: {'; '.join(parts)}."

    @property
    def table(self) -> PageTable:
        def cells(each: Range) -> list[str]:
            bound = f"unknown: {each.why_no_bound}" if each.bound is None else rate_text(each.bound)
            return [rate_text(each.mean), rate_text(each.p10), rate_text(each.p90), bound]

        rows = [PageRow(each.name, cells(each)) for each in self.ranges]
        return PageTable(self.title, ["run", "mean", "p10", "p90", self.bound_title], rows)
