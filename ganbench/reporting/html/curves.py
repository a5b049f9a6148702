"""The charts of losses, monitors and speed, with one line per run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from ganbench.reporting.formatting import column_title
from ganbench.reporting.speed_tables import MIN_ROOFLINE_SHARE
from ganbench.results.schema import LOSS_COLUMNS, monitor_names
from ganbench.results.throughput import Roofline

from .line_chart import Line, LineChart, Points
from .range_chart import Range, RangeChart
from .runs import ReportedRun


def loss_charts(runs: Sequence[ReportedRun]) -> Iterator[LineChart]:
    """Yield the mean losses by epoch: both in one chart for one run, else one chart per loss.

    Published losses are drawn behind those of the runs.
    """
    if len(runs) == 1:
        (run,), players = runs, list(enumerate(LOSS_COLUMNS.items()))
        yield LineChart(
            "Losses",
            [
                *(line for style, (name, player) in players for line in published_lines([run], name, player, style)),
                *(Line(player, style, points(run, name)) for style, (name, player) in players),
            ],
        )
        return
    for column, player in LOSS_COLUMNS.items():
        yield column_chart(f"Loss of the {player}", runs, column)


def monitor_charts(runs: Sequence[ReportedRun]) -> Iterator[LineChart]:
    """Yield each value that the losses reported for the last batch of each epoch."""
    monitors = [monitor_names(run.result.history) for run in runs]
    for name in dict.fromkeys(name for names in monitors for name in names):
        reporting = [run for run, names in zip(runs, monitors, strict=True) if name in names]
        yield column_chart(column_title(name), reporting, name)


def column_chart(title: str, runs: Sequence[ReportedRun], column: str) -> LineChart:
    """Return a loss or monitor of several runs, with the published values behind."""
    published = published_lines(runs, column, style=max(run.style for run in runs) + 1)
    return LineChart(title, [*published, *(Line(run.name, run.style, points(run, column)) for run in runs)])


def published_lines(
    runs: Sequence[ReportedRun], column: str, name: str | None = None, style: int = 0
) -> Iterator[Line]:
    """Yield the published curve of each benchmark among the runs, by default named after the benchmark."""
    published = {run.result.benchmark: run.published for run in runs if run.published}
    for number, (benchmark, curve) in enumerate(published.items()):
        if column in curve.columns:
            yield Line(f"{name or benchmark}, {curve.label}", style + number, curve.columns[column], is_behind=True)


def points(run: ReportedRun, column: str) -> Points:
    """Return a loss or monitor at the end of each epoch."""
    history = run.result.history
    return [
        (images, row.losses.get(column))
        for images, row in zip(accumulate(row.images for row in history), history, strict=True)
    ]


def speed_charts(runs: Sequence[ReportedRun]) -> Iterator[LineChart | RangeChart]:
    """Yield the speed of the runs beside one another, and over training."""
    ranges, lines = [], []
    for run in runs:
        throughput = run.result.throughput
        if (mean := throughput.mean_images_per_second) and (rates := throughput.images_per_second):
            limit, why_not = bound(run, throughput.roofline, mean)
            ranges.append(Range(run.name, run.style, mean, rates.p10, rates.p90, limit, why_not))
        windows = [window for window in throughput.windows if window.seconds > 0]
        images = accumulate(window.images for window in windows)
        speeds = [window.images / window.seconds for window in windows]
        lines.append(Line(run.name, run.style, list(zip(images, speeds, strict=True))))
    if ranges:
        yield RangeChart("Images per second", ranges, "roofline bound")
    if any(len(line.points) > 1 for line in lines):
        yield LineChart("Images per second, by timing window", lines)


def bound(run: ReportedRun, roofline: Roofline | None, mean: float) -> tuple[float | None, str | None]:
    """Return how many images per second the device allows by its measured peak rates, or why that is unknown.

    `mean` is how many images per second the run reached.
    """
    if roofline is None or roofline.unreliable:
        return None, roofline.unreliable if roofline else "not measured"
    images_per_step = run.result.images_per_step
    seconds = roofline.min_step_seconds(images_per_step)
    if seconds < MIN_ROOFLINE_SHARE * images_per_step / mean:
        return None, f"arithmetic and memory traffic take less than {MIN_ROOFLINE_SHARE:.0%} of a step"
    return images_per_step / seconds, None
