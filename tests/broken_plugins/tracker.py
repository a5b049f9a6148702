"""Trackers that break a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganbench import Callback, MetricPoint, Result, TrackerPlugin

from .broken import Broken


class Rounding(Callback):
    def on_score(self, label: str, point: MetricPoint) -> None:
        round(point.value)  # type: ignore[arg-type] # None for a score that is not finite


class Last(Callback):
    def on_run_end(self, result: Result) -> None:
        result.history[-1].model_dump()


class Here(Callback):
    def on_run_end(self, result: Result) -> None:
        Path("report.txt").write_text(result.status)


def tracker(make: type[Callback]) -> TrackerPlugin:
    def build(options: Any, context: Any) -> Callback:
        return make()

    return TrackerPlugin(name="mine", summary="Nothing", build=build)


SOUND = tracker(Callback)
BROKEN = {
    "it accepts every event": Broken(tracker(Rounding), "raised TypeError: type NoneType doesn't define __round__"),
    "it accepts a run without results": Broken(tracker(Last), "raised IndexError: list index out of range"),
    "it writes only into the run directory": Broken(tracker(Here), "got report.txt in the current folder"),
}
