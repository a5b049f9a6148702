"""A metric with its values over a run, and its part of the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ganbench.errors import PluginError
from ganbench.plugin.interfaces import FeatureMetric, Metric
from ganbench.results.schema import MetricPoint, MetricResult
from ganbench.spec.configs import MetricConfig

from .metric_values import directions
from .prepared_metric import PreparedMetric
from .sampling import Source


@dataclass
class MetricValue:
    """One value of a metric, over a run."""

    id: str
    label: str
    name: str  # within the metric; empty if the metric has a single value
    higher_is_better: bool | None  # None: it is never ranked
    curve: list[MetricPoint] = field(default_factory=list)

    @property
    def best(self) -> MetricPoint | None:
        """The first of the best scores; None if none is finite, or if it is never ranked."""
        if self.higher_is_better is None:
            return None
        finite = [(point.value, point) for point in self.curve if point.value is not None]
        pick = max if self.higher_is_better else min
        return pick(finite, key=lambda pair: pair[0])[1] if finite else None


class ScoredMetric:
    """A metric of the benchmark with its values so far."""

    def __init__(self, prepared: PreparedMetric) -> None:
        self.prepared = prepared
        self.config: MetricConfig = prepared.config
        self.metric = prepared.metric
        label = prepared.metric.label
        self.values = [
            MetricValue(f"{self.id}.{name}" if name else self.id, f"{label}: {name}" if name else label, name, each)
            for name, each in directions(prepared.metric).items()
        ]
        if not self.values:
            raise PluginError(
                f"{self.config.plugin}: higher_is_better is an empty mapping; map the name of each value to whether "
                "higher is better, or use a bool for a single value"
            )

    @property
    def id(self) -> str:
        assert self.config.id is not None  # set during validation of the spec
        return self.config.id

    @property
    def source(self) -> Source | None:
        """The weights and the mode with which it generates images; None for a metric of the networks."""
        if isinstance(self.metric, Metric | FeatureMetric):
            return Source(self.config.weights, self.config.generator_mode)
        return None

    def results(self, images_done: int) -> Iterator[MetricResult]:
        """Yield the results of the metric's values; `images_done` is the number of real images at the end."""
        for value in self.values:
            if not value.curve:
                continue
            yield MetricResult(
                id=value.id,
                name=self.config.name,
                label=value.label,
                value=value.curve[-1].value if value.curve[-1].images == images_done else None,
                higher_is_better=value.higher_is_better,
                best=value.best,
                curve=value.curve,
                real_data_score=self.prepared.real_data_scores.get(value.name),
                real_data_samples=self.prepared.real_data_samples,
                protocol=self.prepared.protocol,
                software=self.prepared.software,
                warnings=self.prepared.warnings,
            )
