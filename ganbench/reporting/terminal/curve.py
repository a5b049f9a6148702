"""Small curves: a series of any length as one line of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
MAX_POINTS = 256  # of a stored curve; more than a line has characters


class Curve:
    """A series in bounded memory: once there are too many points, each two neighbors become their mean."""

    def __init__(self) -> None:
        self.latest = math.nan
        self._means: list[float] = []
        self._values_per_mean = 1
        self._open: list[float] = []  # values that are not in a mean yet

    def add(self, value: float) -> None:
        """Add a value; one that is not finite is left out of the curve."""
        self.latest = value
        if not math.isfinite(value):
            return
        self._open.append(value)
        if len(self._open) < self._values_per_mean:
            return
        self._means.append(mean(self._open))
        self._open = []
        if len(self._means) == MAX_POINTS:
            self._means = [mean(self._means[start : start + 2]) for start in range(0, MAX_POINTS, 2)]
            self._values_per_mean *= 2

    @property
    def points(self) -> list[float]:
        """The means of equal stretches of the series; the last stretch may be shorter."""
        return [*self._means, *([mean(self._open)] if self._open else [])]


def sparkline(points: Sequence[float], width: int) -> str:
    """Draw finite points, in at most `width` characters, between the lowest and the highest of them.

    If there are more points than characters, each character is the mean of its share of them.
    """
    count = min(len(points), width)
    edges = [position * len(points) // count for position in range(count + 1)] if count else []
    heights = [mean(points[start:end]) for start, end in pairwise(edges)]
    lowest, highest = min(heights, default=0.0), max(heights, default=0.0)
    if math.isclose(lowest, highest, rel_tol=1e-6):
        return BLOCKS[3] * len(heights)
    levels = [len(BLOCKS) * (height - lowest) / (highest - lowest) for height in heights]
    return "".join(BLOCKS[min(int(level), len(BLOCKS) - 1)] for level in levels)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
