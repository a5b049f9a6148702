"""Training runs over a grid of parameters, classified by outcome."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from ganbench.errors import NotComparableError, PluginError, UsageError, describe
from ganbench.plugin.callbacks import Callback, RunInfo
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.system.files import write_text

from .axis import Axis

if TYPE_CHECKING:
    from ganbench.training.trial import Trial

RATE_TOLERANCE = 1e-6  # a convergence rate this close to 1 predicts neither convergence nor divergence


# predicts the factor by which a step of a spec multiplies the distance to the solution; None if it is unknown
Theory = Callable[[BenchmarkSpec], float | None]


def load_theory(name: str) -> Theory:
    """Import the function `MODULE:FUNCTION`. Raises `UsageError` if that fails."""
    try:
        theory = resolve_name(name)
    except Exception as error:  # the module may raise anything
        raise UsageError(f"--theory {name}: {describe(error)}; expected MODULE:FUNCTION") from error
    if not callable(theory):
        raise UsageError(f"--theory {name}: not a function")

    def predict(spec: BenchmarkSpec) -> float | None:
        try:
            rate: Any = theory(spec)
        except Exception as error:
            raise PluginError(f"--theory {name} raised {describe(error)}") from error
        if rate is not None and not isinstance(rate, float | int):
            raise PluginError(f"--theory {name} returned {rate!r}; expected a number or None")
        return rate

    return predict


class Outcome(StrEnum):
    """Outcome of a training run, by one metric."""

    CONVERGED = "converged"  # the metric improved at least by the given factor
    BOUNDED = "bounded"  # neither
    DIVERGED = "diverged"  # the metric worsened at least by that factor, or training became non-finite


@dataclass(frozen=True)
class SweepPoint:
    """A completed training run and its parameter values."""

    values: tuple[float, ...]
    trial: Trial
    convergence_rate: float | None  # predicted factor per step; None if there is no prediction

    def outcome(self, metric: str, factor: float) -> Outcome:
        initial, final = self.trial.initial[metric], self.trial.final[metric]
        if initial is None or final is None:
            return Outcome.DIVERGED
        improved, worsened = (final, initial) if self.trial.higher_is_better[metric] else (initial, final)
        if worsened >= factor * improved and worsened != improved:
            return Outcome.DIVERGED
        return Outcome.CONVERGED if improved >= factor * worsened and worsened != improved else Outcome.BOUNDED


@dataclass(frozen=True)
class Sweep:
    """The completed points of a grid, with the last axis varying fastest; incomplete if the sweep was stopped."""

    benchmark: str
    axes: tuple[Axis, ...]
    factor: float  # by which the metric must improve (converged) or worsen (diverged)
    points: tuple[SweepPoint, ...]

    @property
    def metric(self) -> str:
        """The title of the benchmark's first score that is ranked, which determines the outcomes."""
        return next(iter(self.points[0].trial.higher_is_better))

    def outcomes(self) -> list[Outcome]:
        """Return the outcome of each point."""
        return [point.outcome(self.metric, self.factor) for point in self.points]

    def agrees_with_theory(self) -> list[bool]:
        """Return whether theory predicts the outcome, for each point where both are conclusive."""
        return [
            (point.convergence_rate < 1) == (outcome == Outcome.CONVERGED)
            for point, outcome in zip(self.points, self.outcomes(), strict=True)
            if outcome != Outcome.BOUNDED
            and point.convergence_rate is not None
            and abs(point.convergence_rate - 1) > RATE_TOLERANCE
        ]

    def best(self) -> SweepPoint | None:
        """Return the point with the best final score; None if no score is finite."""
        finite = [(final, point) for point in self.points if (final := point.trial.final[self.metric]) is not None]
        pick = max if self.points[0].trial.higher_is_better[self.metric] else min
        return pick(finite, key=lambda pair: pair[0])[1] if finite else None

    def intervals(self) -> Iterator[tuple[Outcome, float, float]]:
        """Yield each maximal interval of equal outcomes of a sweep with one axis, as outcome, first and last value."""
        (axis,) = self.axes
        outcomes = self.outcomes()
        start = axis.values[0]
        for position, value in enumerate(axis.values[: len(outcomes)]):
            last = position + 1 == len(outcomes)
            if last or outcomes[position + 1] != outcomes[position]:
                yield outcomes[position], start, value
                if not last:
                    start = axis.values[position + 1]

    def write_csv(self, path: Path) -> None:
        """Write one row per point: parameter values, outcome, scores, steps, losses, theoretical rate, hash of data."""
        losses = list(dict.fromkeys(name for point in self.points for name in point.trial.losses))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        paths = [axis.path for axis in self.axes]
        scores = [f"{self.metric}, initial", f"{self.metric}, final"]
        writer.writerow([*paths, "outcome", *scores, "steps", *losses, "convergence_rate", "content_sha256"])
        for point, outcome in zip(self.points, self.outcomes(), strict=True):
            trial = point.trial
            values = [trial.initial[self.metric], trial.final[self.metric], trial.steps]
            values += [trial.losses.get(name) for name in losses]
            writer.writerow([*point.values, outcome, *values, point.convergence_rate, trial.content_sha256])
        write_text(path, text.getvalue())


class Messages(Callback):
    """Shows what the training runs say about their data, and their warnings, each once."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.show = show
        self._shown: set[str] = set()

    def on_run_start(self, info: RunInfo) -> None:
        if info.data.notice:
            self.on_warning(info.data.notice)

    def on_warning(self, message: str) -> None:
        if message not in self._shown:
            self._shown.add(message)
            self.show(message)


@dataclass(frozen=True)
class PlannedTrial:
    """A point of the grid before training."""

    values: tuple[float, ...]
    spec: BenchmarkSpec
    convergence_rate: float | None


def plan_trials(
    load: Callable[[Sequence[str]], BenchmarkSpec], axes: Sequence[Axis], theory: Theory | None
) -> list[PlannedTrial]:
    """Return the points of the grid; `load` makes a spec from overrides.

    Raises `UsageError` if a spec is invalid, has no metric to determine the outcome, or has a time budget, which would
    make points differ in length.
    """
    trials = []
    for values in product(*(axis.values for axis in axes)):
        spec = load([axis.override(value) for axis, value in zip(axes, values, strict=True)])
        if not spec.metrics:
            raise UsageError(
                f"sweep: benchmark {spec.name} has no metric, which determines the outcomes; add one with "
                "-o metrics.0=NAME"
            )
        if spec.training.budget_seconds is not None:
            raise UsageError(
                "sweep: training.budget_seconds: not supported; set training.steps or training.epochs instead"
            )
        trials.append(PlannedTrial(values, spec, theory(spec) if theory else None))
    return trials


def run_trials(trials: Iterable[PlannedTrial], run_trial: Callable[[BenchmarkSpec], Trial]) -> Iterator[SweepPoint]:
    """Run one trial after the other.

    Raises `UsageError` without a score that is ranked, for a negative one, because a factor of change is then
    meaningless, `NotComparableError` if the data has changed between two of them, and whatever a training run raises.
    """
    contents: dict[str, str] = {}  # hash of the data, by the options and the seed that a dataset is built with
    for planned in trials:
        trial = run_trial(planned.spec)
        title = next(iter(trial.higher_is_better), None)
        if title is None:
            raise UsageError(
                "sweep: outcomes are determined by the first score that is ranked, but higher_is_better is None for "
                f"{', '.join(trial.initial)}; add another metric, with -o metrics.1=NAME"
            )
        if any(value is not None and value < 0 for value in (trial.initial[title], trial.final[title])):
            raise UsageError(
                f"sweep: {title} is negative, but outcomes are determined by its factor of change; put another "
                "metric first, with -o metrics.0=NAME"
            )
        dataset = planned.spec.dataset
        known = contents.setdefault(f"{dataset.model_dump_json()} {planned.spec.training.seed}", trial.content_sha256)
        if trial.content_sha256 != known:
            raise NotComparableError(
                f"sweep: {dataset.plugin} gives other images, labels or classes than for the points before, so their "
                "scores cannot be compared; start again, with options of the dataset that determine where it is read "
                "from"
            )
        yield SweepPoint(planned.values, trial, planned.convergence_rate)
