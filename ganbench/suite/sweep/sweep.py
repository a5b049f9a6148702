"""A benchmark tried at every point of a grid, and what came of it there."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from ganbench.errors import UsageError
from ganbench.plugin.registrations import LossPlugin
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.system.files import write_text

from .axis import Axis

if TYPE_CHECKING:
    from ganbench.training.trial import Trial

UNDECIDED = 1e-6  # a growth so near to 1 is neither


class State(StrEnum):
    """Where a training went, told by one metric."""

    CONVERGED = "converged"  # the metric got better by the factor that was asked for, or more
    BOUNDED = "bounded"  # neither
    DIVERGED = "diverged"  # it got worse by that factor or more, or something was no longer finite


@dataclass(frozen=True)
class Point:
    """A training with its values of the axes."""

    values: tuple[float, ...]
    trial: Trial
    growth: float | None  # of the metric a step, as theory has it; None where it is silent

    def state(self, metric: str, factor: float) -> State:
        first, last = self.trial.first[metric], self.trial.last[metric]
        if first is None or last is None:
            return State.DIVERGED
        good, bad = (last, first) if self.trial.higher_is_better[metric] else (first, last)
        if bad >= factor * good and bad != good:
            return State.DIVERGED
        return State.CONVERGED if good >= factor * bad and bad != good else State.BOUNDED


@dataclass(frozen=True)
class Sweep:
    """The points of a grid, the last axis changing fastest; not all of them, if it was ended before."""

    benchmark: str
    axes: tuple[Axis, ...]
    factor: float  # by which the metric has to get better or worse
    points: tuple[Point, ...]

    @property
    def metric(self) -> str:
        """The title of the benchmark's first metric, by which its points are judged."""
        return next(iter(self.points[0].trial.first))

    def states(self) -> list[State]:
        """Of each point."""
        return [point.state(self.metric, self.factor) for point in self.points]

    def as_in_theory(self) -> list[bool]:
        """Of each point where both tell something: does it shrink where it converged, and grow where it diverged?"""
        return [
            (point.growth < 1) == (state == State.CONVERGED)
            for point, state in zip(self.points, self.states(), strict=True)
            if state != State.BOUNDED and point.growth is not None and abs(point.growth - 1) > UNDECIDED
        ]

    def best(self) -> Point | None:
        """The point with the best metric at the end of its training; None where none is finite."""
        finite = [(last, point) for point in self.points if (last := point.trial.last[self.metric]) is not None]
        pick = max if self.points[0].trial.higher_is_better[self.metric] else min
        return pick(finite, key=lambda pair: pair[0])[1] if finite else None

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
        for point, state in zip(self.points, self.states(), strict=True):
            trial = point.trial
            told = [trial.first[self.metric], trial.last[self.metric], trial.steps]
            writer.writerow([*point.values, state, *told, *(trial.losses.get(n) for n in losses), point.growth])
        write_text(path, text.getvalue())


@dataclass(frozen=True)
class Task:
    """A point that is still to be tried."""

    values: tuple[float, ...]
    spec: BenchmarkSpec
    growth: float | None


def plan(load: Callable[[Sequence[str]], BenchmarkSpec], axes: Sequence[Axis]) -> list[Task]:
    """Every point of the grid; `load` makes a spec with overrides.

    Raises `UsageError` for a spec that is none, and where a benchmark has no metric that would tell where a training
    went, or a budget of time, which differs from point to point.
    """
    tasks = []
    for values in product(*(axis.values for axis in axes)):
        spec = load([axis.override(value) for axis, value in zip(axes, values, strict=True)])
        if not spec.metrics:
            raise UsageError(f"sweep: the benchmark {spec.name} has no metric that would tell how it went")
        if spec.training.budget_seconds is not None:
            raise UsageError("sweep: training.budget_seconds: points are as long as one another; give steps or epochs")
        loss = spec.loss.plugin.plugin
        assert isinstance(loss, LossPlugin)
        with spec.loss.plugin.wrap_errors("raised in growth"):
            tasks.append(Task(values, spec, loss.growth(spec) if loss.growth else None))
    return tasks


def try_points(tasks: Iterable[Task], try_out: Callable[[BenchmarkSpec], Trial]) -> Iterator[Point]:
    """Try one point after the other.

    Raises `UsageError` for a metric below 0, of which no factor tells anything, and whatever a training raises.
    """
    for task in tasks:
        trial = try_out(task.spec)
        title = next(iter(trial.first))
        if any(value is not None and value < 0 for value in (trial.first[title], trial.last[title])):
            raise UsageError(f"sweep: {title} is below 0, and a sweep judges by the factor of its change")
        yield Point(task.values, trial, task.growth)
