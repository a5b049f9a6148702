"""Results side by side: what may be ranked, and what differs where it may not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from .comparability import compare_scores
from .differences import differing_fields, flatten
from .schema import MetricResult, Result, metric_titles, providers


@dataclass(frozen=True)
class Figure:
    """One figure of every result, in their order."""

    name: str
    values: tuple[float | None, ...]  # None where a result has none
    better: Literal["higher", "lower"] | None  # None: it is shown, and says nothing about who is better
    differing_fields: dict[str, tuple[Any, ...]]  # fields of the protocol that are not equal: then nothing is ranked
    software: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # versions that differ: ranked, with a mark
    spreads: tuple[tuple[float, float] | None, ...] = ()  # p10 and p90 of each value, where it is a mean over a run
    doubtful: bool = False  # a value was measured on a busy machine: then none is the best

    @property
    def best(self) -> int | None:
        """The position of the best value, if the values may be ranked and one of them is."""
        finite = [(value, position) for position, value in enumerate(self.values) if value is not None]
        if self.better is None or self.differing_fields or self.doubtful or len(finite) < 2:
            return None
        pick = max if self.better == "higher" else min
        best = pick(finite, key=lambda pair: pair[0])[1]
        return None if any(self.overlap(best, position) for _, position in finite if position != best) else best

    def overlap(self, one: int, other: int) -> bool:
        """Whether the spreads of two values have a part in common; not where there are none."""
        if not self.spreads or (first := self.spreads[one]) is None or (second := self.spreads[other]) is None:
            return False
        return first[0] <= second[1] and second[0] <= first[1]

    def ratio(self, position: int) -> float | None:
        """A value over the first one, if they may be compared."""
        first, value = self.values[0], self.values[position]
        if self.better is None or self.differing_fields or not first or value is None:
            return None
        return value / first

    def ratio_spread(self, position: int) -> tuple[float, float] | None:
        """Between what and what the ratio lies, as the spreads of both values have it."""
        if self.ratio(position) is None or not self.spreads:
            return None
        first, own = self.spreads[0], self.spreads[position]
        return (own[0] / first[1], own[1] / first[0]) if first and own else None

    def to_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "values": self.values,
            "best": self.best,
            "differing_fields": list(self.differing_fields),
            "software": list(self.software),
        }
        if self.spreads:
            plain |= {"spreads": self.spreads, "ratio_spreads": [*map(self.ratio_spread, range(len(self.values)))]}
        return plain


@dataclass(frozen=True)
class Comparison:
    """Several results: their figures, and every field in which they differ."""

    results: tuple[Result, ...]
    speed: tuple[Figure, ...]
    losses: tuple[Figure, ...]
    metrics: tuple[Figure, ...]
    differences: dict[str, dict[str, tuple[Any, ...]]]  # by what: spec, plugins, environment, data

    def to_dict(self, names: list[str]) -> dict[str, Any]:
        """As plain JSON types; `names` are the results', in their order."""
        figures = {"speed": self.speed, "losses": self.losses, "metrics": self.metrics}
        return {
            "results": [
                {
                    "name": name,
                    "run_id": result.run_id,
                    "benchmark": result.benchmark,
                    "status": result.status,
                    "disturbed_by": result.throughput.disturbed_by,
                }
                for name, result in zip(names, self.results, strict=True)
            ],
            **{what: {figure.name: figure.to_dict() for figure in told} for what, told in figures.items()},
            "differences": self.differences,
        }


def compare(results: Sequence[Result]) -> Comparison:
    """Stand results side by side. Nothing is refused: what cannot be ranked says which field differs."""
    return Comparison(
        results=tuple(results),
        speed=tuple(speed_figures(results)),
        losses=tuple(loss_figures(results)),
        metrics=tuple(metric_figures(results)),
        differences={
            "spec": differing_fields(flatten(result.spec) for result in results),
            "plugins": differing_fields(providers(result.plugins) for result in results),
            "environment": differing_fields(
                {**result.environment.must_match, **result.environment.may_differ} for result in results
            ),
            "data": differing_fields(result.data.model_dump(exclude={"notice"}) for result in results),
        },
    )


def speed_figures(results: Sequence[Result]) -> Iterable[Figure]:
    """Throughput and memory, which depend on device, precision, engine and batch size."""
    conditions = differing_fields(result.throughput.conditions for result in results)
    yield Figure(
        "images/s",
        tuple(result.throughput.mean_images_per_second for result in results),
        "higher",
        conditions,
        spreads=tuple((rate.p10, rate.p90) if (rate := r.throughput.images_per_second) else None for r in results),
        doubtful=any(result.throughput.disturbed for result in results),
    )
    yield Figure("joules an image", tuple(r.throughput.joules_per_image for r in results), "lower", conditions)
    for name, key in (
        ("peak device memory, bytes", "device_peak_bytes"),
        ("peak host memory, bytes", "host_peak_rss_bytes"),
    ):
        yield Figure(name, tuple(getattr(result.memory, key) for result in results), "lower", conditions)


def loss_figures(results: Sequence[Result]) -> Iterable[Figure]:
    """What each run's last epoch reported. A loss is no score: lower is not better."""
    rows = [
        {"d_loss": row.d_loss, "g_loss": row.g_loss, **row.monitors} if (row := last_row(result)) else {}
        for result in results
    ]
    for name in dict.fromkeys(name for row in rows for name in row):
        yield Figure(name, tuple(row.get(name) for row in rows), None, {})


def metric_figures(results: Sequence[Result]) -> Iterable[Figure]:
    """Each metric at the end of training, with what its protocols differ in."""
    titles: Counter[str] = Counter()
    for row in metric_rows(results):
        having = [metric for metric in row if metric is not None]
        holder = next(result for result, metric in zip(results, row, strict=True) if metric is not None)
        title = metric_titles(holder.metrics)[having[0].id]
        titles[title] += 1
        name = title if titles[title] == 1 else f"{title} ({titles[title]})"
        differences = compare_scores(having)
        values = tuple(metric.value if metric else None for metric in row)
        yield Figure(name, values, having[0].better, differences.protocol, differences.software)


def metric_rows(results: Sequence[Result]) -> list[list[MetricResult | None]]:
    """The metrics of all results in rows: with one of the same protocol where there is one, else with their id's."""
    rows: list[list[MetricResult | None]] = []

    def find_row(position: int, metric: MetricResult, key: Callable[[MetricResult], Any]) -> Any:
        free = (row for row in rows if row[position] is None)
        return next((row for row in free if any(other and key(other) == key(metric) for other in row)), None)

    for position, result in enumerate(results):
        left = []
        for metric in result.metrics:
            if row := find_row(position, metric, attrgetter("protocol")):
                row[position] = metric
            else:
                left.append(metric)
        for metric in left:
            row = find_row(position, metric, attrgetter("id"))
            if row is None:
                row = [None] * len(results)
                rows.append(row)
            row[position] = metric
    return rows


def last_row(result: Result) -> Any:
    return result.history[-1] if result.history else None
