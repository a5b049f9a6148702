"""The targets of a run: which scores they are about, and whether one has ended training."""

from __future__ import annotations

from collections.abc import Sequence

from ganbench.errors import UsageError
from ganbench.results.target import TargetResult, target_title
from ganbench.results.throughput import Window
from ganbench.results.time_to_target import first_reached, time_to_target
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.scored_metric import MetricValue
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.length import Events
from ganbench.spec.targets import TargetOptions


def require_scores_before_the_end(spec: BenchmarkSpec, events: Events) -> None:
    """Raise `UsageError` if a target's metric is scored only at the end of training, which says nothing about time."""
    for number, target in enumerate(spec.targets):
        metric = target.find(spec.metrics)
        assert metric is not None  # checked during validation of the spec
        assert metric.id is not None
        if not events.scored_before_the_end(metric.id):
            where = f"metrics.{spec.metrics.index(metric)}"
            raise UsageError(
                f"targets.{number}.metric is '{target.metric}', which is scored only at the end of training; set "
                f"{where}.at_epochs, {where}.at_kimg or {where}.every_kimg to score it earlier"
            )


class Targets:
    """The targets of a run, with the scores that they are about."""

    def __init__(self, targets: Sequence[TargetOptions], evaluator: Evaluator) -> None:
        """Raises `UsageError` if a target does not name a value that a metric gives."""
        self._targets = [(target, find_value(number, target, evaluator)) for number, target in enumerate(targets)]
        self._titles = evaluator.titles

    def results(self, windows: Sequence[Window]) -> list[TargetResult]:
        """Return how much training each target took so far, given all windows of the run."""
        return [
            time_to_target(scored, self._titles[scored.id], target.value, windows, target.stop)
            for target, scored in self._targets
        ]

    def reached_stop(self) -> tuple[str, str] | None:
        """Return the path of the first target with `stop` that has been reached, and its title; None if none has."""
        for number, (target, scored) in enumerate(self._targets):
            if target.stop and first_reached(scored, target.value) is not None:
                title = target_title(self._titles[scored.id], target.value, bool(scored.higher_is_better))
                return f"targets.{number}", title
        return None


def find_value(number: int, target: TargetOptions, evaluator: Evaluator) -> MetricValue:
    """Return the score that a target is about. Raises `UsageError` if the metric does not give it."""
    ranked = [value for scored in evaluator.metrics for value in scored.values if value.higher_is_better is not None]
    values = {value.id: value for value in ranked}
    if target.metric not in values:
        metric = target.find([scored.config for scored in evaluator.metrics])
        assert metric is not None
        own = [value.id for scored in evaluator.metrics if scored.config is metric for value in scored.values]
        own = [value_id for value_id in own if value_id in values]
        raise UsageError(
            f"targets.{number}.metric is '{target.metric}', which is not a score with a direction; metric "
            f"'{metric.id}' gives: {', '.join(own)}"
        )
    return values[target.metric]
