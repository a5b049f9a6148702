"""A benchmark tried at every point of a grid, and what came of it there."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from ganbench.errors import UsageError
from ganbench.files import write_text
from ganbench.plugin import LossPlugin
from ganbench.spec import BenchmarkSpec

from .axis import Axis

if TYPE_CHECKING:
    from ganbench.training.trial import Trial

FACTOR = 2.0


class State(StrEnum):
    """Where a training went, told by one metric of which lower is better."""

    CONVERGED = "converged"  # the metric fell to half of where it began, or less
    BOUNDED = "bounded"  # neither
    DIVERGED = "diverged"  # it doubled or more, or something was no longer finite


@dataclass(frozen=True)
class Point:
    """A training with its values of the axes."""

    values: tuple[float, ...]
    trial: Trial
    growth: float | None  # of the metric a step, as theory has it; None where it is silent

    def state(self, metric: str) -> State:
        first, last = self.trial.first[metric], self.trial.last[metric]
        if self.trial.diverged or last is None or first is None or last >= FACTOR * first > 0:
            return State.DIVERGED
        return State.CONVERGED if last <= first / FACTOR else State.BOUNDED

    def agrees(self, metric: str) -> bool | None:
        """Whether theory has it shrink where it converged, and grow where it diverged; None where neither is told."""
        state = self.state(metric)
        if self.growth is None or state == State.BOUNDED:
            return None
        return (self.growth < 1) == (state == State.CONVERGED)


@dataclass(frozen=True)
class Sweep:
    """All points of a grid, the last axis changing fastest."""

    benchmark: str
    axes: tuple[Axis, ...]
    metric: str  # its label
    points: tuple[Point, ...]

    def states(self) -> list[State]:
        return [point.state(self.metric) for point in self.points]

    def changes(self) -> Iterator[tuple[State, float, float]]:
        """Of one axis: each state with the first and the last value of a stretch of it."""
        (axis,) = self.axes
        stretch: list[float] = []
        states = self.states()
        for position, value in enumerate(axis.values):
            stretch.append(value)
            if position + 1 == len(states) or states[position + 1] != states[position]:
                yield states[position], stretch[0], stretch[-1]
                stretch = []

    def write_csv(self, path: Path) -> None:
        """A row a point: values of the axes, state, the metric before and after, losses, and theory's growth."""
        losses = list(dict.fromkeys(name for point in self.points for name in point.trial.losses))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        paths = [axis.path for axis in self.axes]
        writer.writerow([*paths, "state", f"{self.metric}, first", f"{self.metric}, last", "steps", *losses, "growth"])
        for point in self.points:
            trial = point.trial
            told = [trial.first[self.metric], trial.last[self.metric], trial.steps]
            writer.writerow(
                [*point.values, point.state(self.metric), *told, *(trial.losses.get(n) for n in losses), point.growth]
            )
        write_text(path, text.getvalue())


def sweep(
    load: Callable[[Sequence[str]], BenchmarkSpec],
    axes: Sequence[Axis],
    try_out: Callable[[BenchmarkSpec], Trial],
    done: Callable[[], None] = lambda: None,
) -> Sweep:
    """Try a benchmark at every point of the grid; `load` makes its spec with overrides, `done` hears of each point.

    The benchmark's first metric tells where a training went. Raises `UsageError` where there is none, or one of which
    higher is better, and whatever a training raises.
    """
    points = []
    spec = None
    for values in product(*(axis.values for axis in axes)):
        spec = load([axis.override(value) for axis, value in zip(axes, values, strict=True)])
        if not spec.metrics:
            raise UsageError(f"sweep: the benchmark {spec.name} has no metric that would tell how it went")
        loss = spec.loss.plugin.plugin
        assert isinstance(loss, LossPlugin)
        points.append(Point(values, try_out(spec), loss.growth(spec) if loss.growth else None))
        done()
    assert spec is not None
    return Sweep(spec.name, tuple(axes), next(iter(points[0].trial.first)), tuple(points))
