"""Targets: scores to be reached. A result says how much training each one took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from pydantic import Field
from pydantic_core import PydanticCustomError

from ganbench.plugin.options import StrictModel

from .configs import MetricConfig


class TargetOptions(StrictModel):
    """A score to be reached."""

    metric: str = Field(
        description="id of a metric; if it has several values, followed by a dot and the name of one, such as "
        "precision-recall.recall"
    )
    value: float = Field(description="the target is reached by a score that is equal or better")
    stop: bool = Field(False, description="end training after the first score that reaches the target")

    def find(self, metrics: Collection[MetricConfig]) -> MetricConfig | None:
        """Return the metric that gives the score; None if there is none."""
        named = {metric.id: metric for metric in metrics}
        parts = self.metric.split(".")  # an id may contain dots
        ids = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((named[metric_id] for metric_id in ids if metric_id in named), None)


def check_targets(targets: Sequence[TargetOptions], metrics: Sequence[MetricConfig]) -> None:
    """Raise `PydanticCustomError` if two targets are equal, or one is not a score of the benchmark."""
    known = ", ".join(str(metric.id) for metric in metrics) or "none"
    for number, target in enumerate(targets):
        if target.find(metrics) is None:
            raise PydanticCustomError(
                "no_metric",
                "targets.{number}.metric is '{metric}', but the benchmark has no metric of this id (available: "
                "{known}); losses and monitors have no direction, so they cannot be targets",
                {"number": number, "metric": target.metric, "known": known},
            )
    counts = Counter((target.metric, target.value) for target in targets)
    if repeated := next((target for target, count in counts.items() if count > 1), None):
        raise PydanticCustomError(
            "repeated_target", "targets: two have the metric '{metric}' and the same value", {"metric": repeated[0]}
        )
