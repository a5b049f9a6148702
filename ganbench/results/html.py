"""A result as small HTML, for notebooks. All text in it is escaped: it may come from plugins and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from .schema import MetricResult, Result, epochs_text, metric_titles
from .throughput import rate_text


def result_html(result: Result) -> str:
    """Return the outcome, the speed, and the scores with their protocols."""
    return "".join(f"<div>{line}</div>" for line in outcome_lines(result)) + scores_html(result)


def outcome_lines(result: Result) -> Iterator[str]:
    yield f"<strong>{escape(result.benchmark)}</strong>: {escape(result.message or result.status)}"
    if result.history:
        seed = result.spec["training"]["seed"]
        line = f"seed {seed}, {epochs_text(result.epochs)} epochs of {result.data.source} data"
        if rate := result.throughput.mean_images_per_second:
            line += f", {rate_text(rate)} images/s on {result.environment.must_match['device']}"
        yield escape(line)
    if result.data.notice:
        yield f"<em>{escape(result.data.notice)}</em>"
    if result.throughput.disturbed_by:
        yield f"<em>disturbed: {escape(result.throughput.disturbed_by)}</em>"


def scores_html(result: Result) -> str:
    """Return a table of the scores, the warnings about them, and their protocols, which are folded."""
    if not result.metrics:
        return ""
    titles = metric_titles(result.metrics)
    rows = (
        [
            titles[metric.id],
            number(metric.value, result.why_missing(metric)),
            best_score(metric) if result.was_trained else "",
            real_data_score(metric),
        ]
        for metric in result.metrics
    )
    warnings = [f"{titles[metric.id]}: {warning}" for metric in result.metrics for warning in metric.warnings]
    protocols = table(
        ["", *titles.values()],
        (
            [field, *(str(metric.protocol.get(field, "")) for metric in result.metrics)]
            for field in dict.fromkeys(field for metric in result.metrics for field in metric.protocol)
        ),
    )
    return (
        table(["", "Final", "Best", "Real data"], rows)
        + "".join(f"<div><em>{escape(warning)}</em></div>" for warning in warnings)
        + f"<details><summary>Evaluation protocol</summary>{protocols}</details>"
    )


def best_score(metric: MetricResult) -> str:
    return f"{number(metric.best.value)} (epoch {epochs_text(metric.best.epoch)})" if metric.best else ""


def real_data_score(metric: MetricResult) -> str:
    if metric.real_data_score is None:
        return ""
    return f"{number(metric.real_data_score)} ({metric.real_data_samples:,} images)"


def number(value: float | None, missing: str = "") -> str:
    return missing if value is None else f"{value:.4g}"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return an HTML table of plain text."""
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
