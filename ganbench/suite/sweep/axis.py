"""A swept parameter and its values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ganbench.errors import UsageError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"({NUMBER}):({NUMBER}):(\d+)(:log)?")
MAX_AXES = 2
MAX_VALUES = 10_000
DIGITS = 12  # significant digits of the larger end: 0.3, not 0.30000000000000004


@dataclass(frozen=True)
class Axis:
    """The values of the spec field at `path`, in order."""

    path: str
    values: tuple[float, ...]  # integers if all are whole and both ends were written as integers
    logarithmic: bool = False

    def override(self, value: float) -> str:
        """Return the override that sets this value, as for -o."""
        return f"{self.path}={value!r}"


def split_overrides(overrides: Iterable[str]) -> tuple[list[str], list[Axis]]:
    """Separate plain overrides from axes: PATH=FROM:TO:N, or PATH=FROM:TO:N:log for logarithmic spacing.

    Raises `UsageError` for no axis, more than two, or an invalid range.
    """
    plain: list[str] = []
    axes: list[Axis] = []
    for override in overrides:
        path, _, value = (part.strip() for part in override.partition("="))
        found = RANGE.fullmatch(value)
        if found:
            axis = make_axis(path, found[1], found[2], int(found[3]), logarithmic=bool(found[4]))
            if len(set(axis.values)) < len(axis.values):
                raise UsageError(f"-o {path}: the values of a range must differ, got {value}")
            axes.append(axis)
        else:
            plain.append(override)
    if not 1 <= len(axes) <= MAX_AXES:
        raise UsageError(
            f"sweep needs one or two ranges, such as -o optimizer.generator.lr=1e-5:1e-3:9:log; got {len(axes)}"
        )
    if len({axis.path for axis in axes}) < len(axes):
        raise UsageError(f"sweep: two ranges for {axes[0].path}")
    return plain, axes


def make_axis(path: str, start: str, stop: str, count: int, logarithmic: bool) -> Axis:
    """Return evenly spaced values from `start` to `stop`, inclusive. Raises `UsageError` if the range is invalid."""
    first, last = float(start), float(stop)
    if not 2 <= count <= MAX_VALUES:
        raise UsageError(f"-o {path}: a range must have 2 to {MAX_VALUES:,} values, got {count:,}")
    if not math.isfinite(first) or not math.isfinite(last):
        raise UsageError(f"-o {path}: the ends of a range must be finite, got {start} and {stop}")
    if logarithmic:
        if first <= 0 or last <= 0:
            raise UsageError(f"-o {path}: the ends of a logarithmic range must be positive, got {start} and {stop}")
        return Axis(path, tuple(float(f"{value:.12g}") for value in np.geomspace(first, last, count)), logarithmic=True)
    if all(text.lstrip("+-").isdigit() for text in (start, stop)):
        distance = int(stop) - int(start)
        if distance % (count - 1) == 0:
            return Axis(path, tuple(int(start) + step * distance // (count - 1) for step in range(count)))
    largest = max(abs(first), abs(last)) or 1.0
    digits = DIGITS - math.floor(math.log10(largest))
    return Axis(path, tuple(round(float(value), digits) for value in np.linspace(first, last, count)))
