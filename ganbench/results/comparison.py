"""Side-by-side comparison of results: which values may be ranked, and which fields differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from .comparability import compare_scores
from .differences import differing_fields, flatten
from .schema import EpochRow, MetricResult, Result, metric_titles, providers
from .target_comparison import TargetComparison, compare_targets
from .throughput import Throughput

BETTER: dict[bool | None, Literal["higher", "lower"] | None] = {True: "higher", False: "lower", None: None}


@dataclass(frozen=True)
class Quantity:
    """One quantity of all results, in their order."""

    name: str
    values: tuple[float | None, ...]  # None if a result lacks it
    better: Literal["higher", "lower"] | None  # None: shown, but never ranked
    differing_fields: dict[str, tuple[Any, ...]]  # protocol fields or conditions that differ: never ranked
    software: dict[str, tuple[Any, ...]] = field(
        default_factory=dict
    )  # software versions that differ: ranked, with a mark
    spreads: tuple[tuple[float, float] | None, ...] = ()  # p10 and p90 of each value that is a mean over a run
    disturbed: bool = False  # a value was measured on a busy machine: never ranked
    warnings: tuple[tuple[str, ...] | None, ...] = ()  # why each score may be misleading; None if a result lacks it

    @property
    def best(self) -> int | None:
        """The index of the best value; None if the values may not be ranked or the best is not distinct."""
        finite = [(value, position) for position, value in enumerate(self.values) if value is not None]
        if self.better is None or self.differing_fields or self.disturbed or len(finite) < 2:
            return None
        pick = max if self.better == "higher" else min
        best_value, best = pick(finite, key=lambda pair: pair[0])
        others = [(value, position) for value, position in finite if position != best]
        ties = (value == best_value or self.overlaps(best, position) for value, position in others)
        return None if any(ties) else best

    def overlaps(self, one: int, other: int) -> bool:
        """Return whether the spreads of two values overlap; False if either has none."""
        if not self.spreads or (first := self.spreads[one]) is None or (second := self.spreads[other]) is None:
            return False
        return first[0] <= second[1] and second[0] <= first[1]

    def ratio(self, position: int) -> float | None:
        """Return a value divided by the first one; None if they are not comparable, or if one is negative."""
        first, value = self.values[0], self.values[position]
        if self.better is None or self.differing_fields or first is None or value is None:
            return None
        return value / first if first > 0 and value >= 0 else None

    def ratio_spread(self, position: int) -> tuple[float, float] | None:
        """Return the range of the ratio implied by the spreads of both values."""
        if self.ratio(position) is None or not self.spreads:
            return None
        first, own = self.spreads[0], self.spreads[position]
        return (own[0] / first[1], own[1] / first[0]) if first and own else None


@dataclass(frozen=True)
class Comparison:
    """Several results: their quantities, and all fields in which they differ."""

    results: tuple[Result, ...]
    speed: tuple[Quantity, ...]
    losses: tuple[Quantity, ...]
    metrics: tuple[Quantity, ...]
    targets: tuple[TargetComparison, ...]
    differences: dict[str, dict[str, tuple[Any, ...]]]  # by section: spec, plugins, environment, data


def compare(results: Sequence[Result]) -> Comparison:
    """Compare results side by side. Any results are accepted; a quantity that may not be ranked lists what differs."""
    return Comparison(
        results=tuple(results),
        speed=tuple(speed_quantities(results)),
        losses=tuple(loss_quantities(results)),
        metrics=tuple(metric_quantities(results)),
        targets=tuple(compare_targets(results, metric_rows(results))),
        differences={
            "spec": differing_fields(
                flatten({name: part for name, part in result.spec.items() if name != "references"})
                for result in results
            ),
            "plugins": differing_fields(providers(result.plugins) for result in results),
            "environment": differing_fields(
                {**result.environment.must_match, **result.environment.may_differ} for result in results
            ),
            "data": differing_fields(result.data.model_dump(exclude={"notice"}) for result in results),
        },
    )


def speed_quantities(results: Sequence[Result]) -> Iterable[Quantity]:
    """Yield throughput, energy and memory, which are comparable only under equal conditions."""
    rates = tuple(result.throughput.mean_images_per_second for result in results)
    spreads = tuple((rate.p10, rate.p90) if (rate := r.throughput.images_per_second) else None for r in results)
    differing, disturbed = conditions(results, rates), is_disturbed(results, rates)
    yield Quantity("images/s", rates, "higher", differing, spreads=spreads, disturbed=disturbed)
    joules = tuple(result.throughput.joules_per_image for result in results)
    differing, disturbed = conditions(results, joules), is_disturbed(results, joules)  # a GPU that waits uses some
    yield Quantity("joules per image", joules, "lower", differing, disturbed=disturbed)
    for name, key in (
        ("peak device memory, bytes", "device_peak_bytes"),
        ("peak host memory, bytes", "host_peak_rss_bytes"),
    ):
        values = tuple(getattr(result.memory, key) for result in results)
        yield Quantity(name, values, "lower", conditions(results, values))


def measured(results: Sequence[Result], values: Sequence[float | None]) -> list[Throughput]:
    """Return the throughput records of the results that have a value: an evaluation has no speed, for example."""
    return [result.throughput for result, value in zip(results, values, strict=True) if value is not None]


def conditions(results: Sequence[Result], values: Sequence[float | None]) -> dict[str, tuple[Any, ...]]:
    """Return the conditions that differ between the results that have a value."""
    return differing_fields(throughput.conditions for throughput in measured(results, values))


def is_disturbed(results: Sequence[Result], values: Sequence[float | None]) -> bool:
    return any(throughput.disturbed for throughput in measured(results, values))


def loss_quantities(results: Sequence[Result]) -> Iterable[Quantity]:
    """Yield the losses and monitors of each run's last epoch. They are not scores: lower is not better."""
    rows = [row.losses if (row := last_row(result)) else {} for result in results]
    for name in dict.fromkeys(name for row in rows for name in row):
        yield Quantity(name, tuple(row.get(name) for row in rows), None, {})


def metric_quantities(results: Sequence[Result]) -> Iterable[Quantity]:
    """Yield each metric at the end of training, with the protocol fields that differ."""
    titles: Counter[str] = Counter()
    for row in metric_rows(results):
        present = [metric for metric in row if metric is not None]
        owner = next(result for result, metric in zip(results, row, strict=True) if metric is not None)
        title = metric_titles(owner.metrics)[present[0].id]
        titles[title] += 1
        name = title if titles[title] == 1 else f"{title} ({titles[title]})"
        differences = compare_scores(present)
        values = tuple(metric.value if metric else None for metric in row)
        directions = {metric.higher_is_better for metric in present}
        better = BETTER[directions.pop()] if len(directions) == 1 else None  # a plugin may have corrected it
        warnings = tuple(tuple(metric.warnings) if metric else None for metric in row)
        yield Quantity(name, values, better, differences.protocol, differences.software, warnings=warnings)


def metric_rows(results: Sequence[Result]) -> list[list[MetricResult | None]]:
    """Align the metrics of all results in rows: by equal label and protocol if possible, else by equal label and id.

    The values of one metric, such as precision and recall, have equal protocols.
    """
    rows: list[list[MetricResult | None]] = []

    def find_row(position: int, metric: MetricResult, key: Callable[[MetricResult], Any]) -> Any:
        free = (row for row in rows if row[position] is None)
        return next((row for row in free if any(other and key(other) == key(metric) for other in row)), None)

    for position, result in enumerate(results):
        unmatched = []
        for metric in result.metrics:
            if row := find_row(position, metric, attrgetter("label", "protocol")):
                row[position] = metric
            else:
                unmatched.append(metric)
        for metric in unmatched:
            row = find_row(position, metric, attrgetter("label", "id"))
            if row is None:
                row = [None] * len(results)
                rows.append(row)
            row[position] = metric
    return rows


def last_row(result: Result) -> EpochRow | None:
    return result.history[-1] if result.history else None
