"""Line charts: several lines over one axis, with the table of their data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from ganbench.reporting.formatting import number

from .scale import Scale, finite
from .tables import PageRow, PageTable

MAX_POINTS = 200  # per line
MAX_TABLE_ROWS = 600  # if no two lines share a point
COLORS = 8  # of style.css; further lines are dashed
MAX_DOTS = 40  # a longer line is drawn without dots

Points = list[tuple[float, float | None]]  # None: not finite, a gap


@dataclass(frozen=True)
class Line:
    """A line; lines of equal style have the same color everywhere."""

    name: str
    style: int
    points: Points
    is_behind: bool = False  # drawn fainter, as the background of others


@dataclass(frozen=True)
class Level:
    """A horizontal line, such as a target."""

    label: str
    value: float


class LineChart:
    """Lines over training images, in a drawing of fixed coordinates that scales to any width."""

    kind = "lines"
    unit = "images"
    width, height = 480, 290
    left, right, top, bottom = 58, 466, 12, 240

    def __init__(self, title: str, lines: Iterable[Line], levels: Iterable[Level] = ()) -> None:
        lines = [line for line in lines if line.points]
        most = max(20, min(MAX_POINTS, MAX_TABLE_ROWS // max(1, len(lines))))
        self.title = title
        self.levels = [level for level in levels if finite(level.value) is not None]
        self.lines = [replace(line, points=thin_out(line.points, most)) for line in lines]
        self.thinned = any(len(line.points) > most for line in lines)

    @cached_property
    def x(self) -> Scale:
        furthest = max((x for line in self.lines for x, _ in line.points), default=1.0)
        return Scale(0.0, furthest or 1.0, self.left, self.right)

    @cached_property
    def y(self) -> Scale:
        values = [y for line in self.lines for _, value in line.points if (y := finite(value)) is not None]
        return Scale.around([*values, *(level.value for level in self.levels)], self.bottom, self.top)

    def path(self, line: Line) -> str:
        """Return the line as SVG path data, interrupted where values are not finite."""
        parts, move = [], "M"
        for x, value in line.points:
            y = finite(value)
            if y is not None:
                parts.append(f"{move}{self.x(x)} {self.y(y)}")
            move = "M" if y is None else "L"
        return "".join(parts)

    def dots(self, line: Line) -> list[tuple[float, float, str]]:
        """Return the coordinates and labels of a line's points, if they are few and not in the background."""
        if len(line.points) > MAX_DOTS or line.is_behind:
            return []
        return [
            (self.x(x), self.y(y), f"{line.name}: {number(y)} at {x:,.0f} {self.unit}")
            for x, value in line.points
            if (y := finite(value)) is not None
        ]

    @property
    def note(self) -> str:
        """Say so if lines look the same."""
        looks = {(line.style % COLORS, line.style >= COLORS, line.is_behind) for line in self.lines}
        if len(looks) == len(self.lines):
            return ""
        return "There are more lines than styles, so some look the same; the data has the name of each."

    @property
    def summary(self) -> str:
        """The chart in one sentence, for those who cannot see it."""
        parts = []
        for line in self.lines:
            first, last = line.points[0][1], line.points[-1][1]
            parts.append(f"{line.name} from {number(finite(first))} to {number(finite(last))}")
        parts += [f"{level.label} at {number(level.value)}" for level in self.levels]
        return f"{self.title} over {self.unit}: {'; '.join(parts)}."

    @property
    def table(self) -> PageTable:
        columns = [dict(line.points) for line in self.lines]
        rows = [
            PageRow(f"{x:,.0f}", [number(finite(column[x])) if x in column else "" for column in columns])
            for x in sorted({x for column in columns for x in column})
        ]
        notes = ["Points at equal intervals; result.json has all of them."] if self.thinned else []
        return PageTable(self.title, [self.unit, *(line.name for line in self.lines)], rows, notes)


def thin_out(points: Points, most: int) -> Points:
    """Return at most about `most` points at equal intervals, the last one among them."""
    return points[:: -max(1, -(-len(points) // most))][::-1]
