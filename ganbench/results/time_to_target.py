"""Find the first score that reached a target, from the scores and the timing windows of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from .schema import MetricPoint
from .target import Evaluation, TargetResult
from .throughput import Window


class ScoredValue(Protocol):
    """A value of a metric over a run."""

    @property
    def id(self) -> str: ...

    @property
    def higher_is_better(self) -> bool | None: ...

    @property
    def curve(self) -> list[MetricPoint]: ...


def first_reached(scored: ScoredValue, value: float) -> int | None:
    """Return the index of the first score that is at least as good as `value`; None if there is none."""
    sign = 1 if scored.higher_is_better else -1
    reached = (
        index
        for index, point in enumerate(scored.curve)
        if point.value is not None and sign * point.value >= sign * value
    )
    return next(reached, None)


def time_to_target(
    scored: ScoredValue, label: str, value: float, windows: Sequence[Window], stop: bool = False
) -> TargetResult:
    """Return how much training it took until a score reached `value`. `windows` are those of the run, in order."""
    first = first_reached(scored, value)
    before = (len(scored.curve) if first is None else first) - 1
    return TargetResult(
        metric=scored.id,
        label=label,
        value=value,
        higher_is_better=bool(scored.higher_is_better),
        stop=stop,
        missed=evaluation(scored.curve[before], windows) if before >= 0 else None,
        reached=None if first is None else evaluation(scored.curve[first], windows),
    )


def evaluation(point: MetricPoint, windows: Sequence[Window]) -> Evaluation:
    """Return a score with the time and energy of all windows before it: scores are taken between windows."""
    seconds, joules, images = [], [], 0
    for window in windows:
        if images >= point.images:
            break
        images += window.images
        seconds.append(window.seconds)
        joules.append(joules_of(window) or 0.0)
    measured = bool(windows) and all(joules_of(window) is not None for window in windows)
    return Evaluation(
        images=point.images,
        seconds=math.fsum(seconds),
        joules=math.fsum(joules) if measured else None,
        value=point.value,
    )


def joules_of(window: Window) -> float | None:
    return window.gpu.joules if window.gpu else None
