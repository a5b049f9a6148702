"""What `ganbench compare --json` prints: a comparison with plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from .comparison import Comparison, Quantity
from .record import Record, SparseRecord
from .schema import ReferenceResult, Result, Status
from .target import Evaluation
from .target_comparison import UNITS, TargetComparison, Unit

Number = int | float  # integers stay integers


class ComparedResult(Record):
    """One of the results that are compared."""

    name: str = Field(description="its path, as given")
    run_id: str = Field(description="unique name of the run")
    benchmark: str = Field(description="name of its benchmark")
    status: Status = Field(description="how the run ended")
    disturbed_by: str | None = Field(description="what disturbed its speed, and by how much; null if nothing did")
    references: list[ReferenceResult] = Field(description="the published scores in its spec")

    @classmethod
    def of(cls, name: str, result: Result) -> ComparedResult:
        return cls(
            name=name,
            run_id=result.run_id,
            benchmark=result.benchmark,
            status=result.status,
            disturbed_by=result.throughput.disturbed_by,
            references=result.references,
        )


class QuantityRecord(SparseRecord):
    """A quantity of all results, in their order. Only speeds have spreads, and only scores have warnings."""

    values: tuple[Number | None, ...] = Field(
        description="its value in each result, in the unit that its name says; null where it is missing"
    )
    best: int | None = Field(
        description="index of the best value; null if the values are not ranked, or if the best one is not distinct"
    )
    differing_fields: list[str] = Field(
        description="fields of the protocol or conditions that differ, so that the values are not ranked"
    )
    software: list[str] = Field(description="fields of the software that differ; the values are ranked all the same")
    spreads: tuple[tuple[float, float] | None, ...] = Field(
        (), description="10th and 90th percentile of each value over the run; null where missing"
    )
    ratio_spreads: tuple[tuple[float, float] | None, ...] = Field(
        (), description="range of each value divided by the first one; null if not comparable"
    )

    warnings: tuple[tuple[str, ...] | None, ...] = Field(
        (), description="why each value may be misleading; null for a result without the metric"
    )

    @classmethod
    def of(cls, quantity: Quantity) -> QuantityRecord:
        ratios = tuple(map(quantity.ratio_spread, range(len(quantity.values))))
        return cls(
            values=quantity.values,
            best=quantity.best,
            differing_fields=list(quantity.differing_fields),
            software=list(quantity.software),
            **({"spreads": quantity.spreads, "ratio_spreads": ratios} if quantity.spreads else {}),
            **({"warnings": quantity.warnings} if quantity.warnings else {}),
        )


class TimeToTarget(Record):
    """Between which two scores of a result a target was reached."""

    missed: Evaluation | None = Field(
        description="the last score before `reached`, or of the run; null if the first one reached the target"
    )
    reached: Evaluation | None = Field(description="the first score that reached the target; null if none did")


class ComparedTarget(Record):
    """How much training all results took to reach a target."""

    target: str = Field(description='the target, such as "FID (inception-v3) at most 20"')
    results: list[TimeToTarget | None] = Field(description="the scores of each result; null if it lacks the metric")
    best: dict[Unit, int | None] = Field(
        description="index of the result that certainly took least, by unit; null if that is unknown"
    )
    differing_fields: list[str] = Field(description="fields of the protocol that differ, so that nothing is ranked")
    software: list[str] = Field(description="fields of the software that differ; the results are ranked all the same")
    hardware: list[str] = Field(
        description="fields of the hardware that differ, so that seconds and joules are not ranked"
    )

    @classmethod
    def of(cls, compared: TargetComparison) -> ComparedTarget:
        return cls(
            target=compared.title,
            results=[
                None if time is None else TimeToTarget(missed=time.missed, reached=time.reached)
                for time in compared.times
            ],
            best={unit: compared.best(unit) for unit in UNITS},
            differing_fields=list(compared.scores.protocol),
            software=list(compared.scores.software),
            hardware=list(compared.hardware),
        )


class ComparisonRecord(Record):
    """Several results side by side."""

    results: list[ComparedResult] = Field(description="the results, in the order in which they were given")
    speed: dict[str, QuantityRecord] = Field(description="throughput, energy and memory, by name with unit")
    losses: dict[str, QuantityRecord] = Field(description="losses and monitors of the last epoch; never ranked")
    metrics: dict[str, QuantityRecord] = Field(description="scores at the end of training, by title")
    targets: list[ComparedTarget] = Field(description="all targets of any of the results")
    differences: dict[str, dict[str, tuple[Any, ...]]] = Field(
        description="fields of spec, plugins, environment and data that differ, with the value in each result; null "
        "where it is missing"
    )

    @classmethod
    def of(cls, comparison: Comparison, names: Sequence[str]) -> ComparisonRecord:
        """Return the record; `names` are those of the results, in order."""
        return cls(
            results=[ComparedResult.of(*pair) for pair in zip(names, comparison.results, strict=True)],
            speed=by_name(comparison.speed),
            losses=by_name(comparison.losses),
            metrics=by_name(comparison.metrics),
            targets=list(map(ComparedTarget.of, comparison.targets)),
            differences=comparison.differences,
        )


def by_name(quantities: Sequence[Quantity]) -> dict[str, QuantityRecord]:
    return {quantity.name: QuantityRecord.of(quantity) for quantity in quantities}
