"""The axes of charts: from values to coordinates, and where the ticks are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

TICKS = 5  # about the most per axis
MAX_VALUE = 1e300  # larger values cannot be scaled, nor can infinity and NaN


def finite(value: float | None) -> float | None:
    """Return a value that can be drawn, else None."""
    return value if value is not None and abs(value) < MAX_VALUE else None


@dataclass(frozen=True)
class Scale:
    """An axis that maps `low` to coordinate `start` and `high` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> Scale:
        """Return the smallest axis with some room that shows all values."""
        values = list(values) or [0.0, 1.0]
        low, high = min(values), max(values)
        room = 0.05 * (high - low) or abs(low) / 2 or 1.0
        return cls(low - room, high + room, start, end)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The coordinates and labels of the ticks: multiples of 1, 2, 2.5 or 5 times a power of ten."""
        least = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(least))
        step = next(step for factor in (1, 2, 2.5, 5, 10, 20) if (step := factor * power) >= least)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        largest = max(abs(first), abs(last), 1)  # in steps
        digits = max(6, math.floor(math.log10(largest)) + 3)  # one more than a step has: 2.5 has two
        return [(self(number * step), tick_label(number * step, digits)) for number in range(first, last + 1)]


def tick_label(value: float, digits: int) -> str:
    """Format a round number with up to `digits` significant digits: 0.5, 800, 20k, 1.5M."""
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"
