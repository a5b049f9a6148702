"""The headline scores of a report, each with its protocol and its chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganbench.reporting.formatting import number, with_owners
from ganbench.results.comparison import Quantity, metric_rows
from ganbench.results.schema import MetricResult, epochs_text

from .line_chart import Level, Line, LineChart
from .runs import ReportedRun
from .tables import PageTable, fields_table

# fields of a protocol that its line shows, in this order
SHOWN = {
    "generated_samples": "generated images",
    "real_samples": "real images",
    "split": "split",
    "extractor": "extractor",
    "weights": "weights",
    "batch_norm": "batch norm",
    "quantization": "",
}


@dataclass(frozen=True)
class RunScore:
    """A score of one run."""

    run: ReportedRun
    value: str
    details: str  # best value and real-data score
    is_best: bool


@dataclass(frozen=True)
class Headline:
    """A score of all runs that have it, and its chart."""

    title: str
    direction: str
    scores: Sequence[RunScore]
    protocol: str  # one line
    protocols: PageTable
    differing: Sequence[str]  # fields of the protocols
    software: Sequence[str]  # that differs
    warnings: Sequence[str]
    chart: LineChart | None  # None without training


def headlines(runs: Sequence[ReportedRun], metrics: Sequence[Quantity]) -> Iterator[Headline]:
    """Yield each score at the end of training. `metrics` are those of the comparison of the runs."""
    for quantity, row in zip(metrics, metric_rows([run.result for run in runs]), strict=True):
        scored = [(run, metric) for run, metric in zip(runs, row, strict=True) if metric is not None]
        yield Headline(
            title=quantity.name,
            direction=f"{quantity.better} is better" if quantity.better else "never ranked",
            scores=[
                RunScore(
                    run,
                    final(run, metric),
                    details(run, metric),
                    quantity.best is not None and runs[quantity.best] is run,
                )
                for run, metric in scored
            ],
            protocol=protocol_line(scored[0][1].protocol, quantity.differing_fields),
            protocols=fields_table(
                f"Protocol and software of {quantity.name}",
                [run.name for run, _ in scored],
                [{**metric.protocol, **metric.software} for _, metric in scored],
            ),
            differing=list(quantity.differing_fields),
            software=list(quantity.software) if quantity.better else [],
            warnings=with_owners([(run.name, metric.warnings) for run, metric in scored]),
            chart=score_chart(quantity, scored) if any(run.result.was_trained for run, _ in scored) else None,
        )


def score_chart(quantity: Quantity, scored: Sequence[tuple[ReportedRun, MetricResult]]) -> LineChart:
    """Draw a score over images, with its targets and, if the protocols are equal, the score of real data."""
    levels = {}
    for run, metric in scored:
        if metric.real_data_score is not None and not quantity.differing_fields:
            levels[f"real data ({metric.real_data_samples:,} images)"] = metric.real_data_score
        for target in run.result.targets:
            if target.metric == metric.id:
                levels[f"target {target.value:g}"] = target.value
    return LineChart(
        f"{quantity.name} during training",
        [Line(run.name, run.style, [(point.images, point.value) for point in metric.curve]) for run, metric in scored],
        levels=[Level(label, value) for label, value in levels.items()],
    )


def final(run: ReportedRun, metric: MetricResult) -> str:
    return run.result.why_missing(metric) if metric.value is None else number(metric.value)


def details(run: ReportedRun, metric: MetricResult) -> str:
    parts = []
    if metric.best and run.result.was_trained:
        parts.append(f"best during training {number(metric.best.value)} (epoch {epochs_text(metric.best.epoch)})")
    if metric.real_data_samples:
        parts.append(f"real data {number(metric.real_data_score)} ({metric.real_data_samples:,} images)")
    return ", ".join(parts)


def protocol_line(protocol: Mapping[str, Any], differing: Mapping[str, Any]) -> str:
    """Return the fields of a protocol that matter most, or else all, except those that differ between runs."""
    parts = []
    for name, title in SHOWN.items():
        if name in protocol and name not in differing:
            value = protocol[name]
            text = f"{value:,} {title}" if isinstance(value, int) else f"{title} {value}"
            parts.append(text.strip())
    return " · ".join(parts or [f"{name} {value}" for name, value in protocol.items() if name not in differing])
