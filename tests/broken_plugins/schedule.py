"""Schedules that break a rule."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from ganbench import Schedule, SchedulePlugin

from .broken import Broken


def counting() -> Schedule:
    calls = count()
    return lambda _: float(next(calls))


def schedule(make: Callable[[], Schedule]) -> SchedulePlugin:
    return SchedulePlugin(name="mine", summary="Decay", build=lambda *_: make())


SOUND = schedule(lambda: lambda images: 1 / (1 + images))
BROKEN = {
    "its values are finite numbers": Broken(
        schedule(lambda: lambda images: float("nan") if images else 1.0), "expected finite values, got [1.0, nan"
    ),
    "its values depend only on the number of images": Broken(schedule(counting), "expected [0.0, 1.0"),
}
