"""Display of a run in a notebook: one output of a few lines, which is updated in place."""

from __future__ import annotations

from html import escape
from time import monotonic
from typing import Any

from ganbench.plugin.callbacks import Progress, RunInfo
from ganbench.results.schema import MetricPoint, Result, epochs_text

from .display import Display
from .formatting import duration, losses_line, number, speed

UPDATE_SECONDS = 0.5  # between two updates: each is a message to the browser
MAX_WARNINGS = 5  # the first ones are shown, further ones are counted


class NotebookDisplay(Display):
    """Shows the progress of a run below its cell."""

    def __init__(self) -> None:
        self.output: Any = None  # IPython's handle of the output
        self.title = self.notice = self.status = self.losses = ""
        self.progress = 0.0
        self.scores: dict[str, str] = {}  # the latest one of each metric, by label
        self.warnings: list[str] = []
        self.next_update = 0.0

    def on_run_start(self, info: RunInfo) -> None:
        self.title = f"{info.spec['name']}: {info.spec['summary']}, on {info.device} ({info.device_name})"
        self.notice = info.data.notice or ""
        self._update()

    def on_status(self, status: str) -> None:
        self.status = f"{status} ..."
        self._update()  # at once: something slow follows

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)
        self._update_sometimes()

    def on_window_end(self, progress: Progress) -> None:
        self.progress = progress.step / progress.total_steps
        rate = f"{speed(progress.images_per_second, progress.disturbed)} images/s"
        self.status = f"epoch {progress.epoch}, {rate}, {duration(progress.seconds_left)} left"
        self.losses = losses_line(progress.losses)
        self._update_sometimes()

    def on_score(self, label: str, point: MetricPoint) -> None:
        self.scores[label] = f"{label} {number(point.value)} (epoch {epochs_text(point.epoch)})"
        self._update_sometimes()

    def on_run_end(self, result: Result) -> None:
        throughput = result.throughput
        self.status = result.message or result.status
        if rate := throughput.mean_images_per_second:
            self.status += f", {speed(rate, throughput.disturbed)} images/s"
        if throughput.disturbed_by:
            self.status += f" (disturbed: {throughput.disturbed_by})"

    def stop(self) -> None:
        if self.output is not None:
            self._update()

    def html(self) -> str:
        """Return what is shown. All text is escaped: names and messages come from plugins."""
        bar = f'<progress value="{self.progress:.4f}" max="1"></progress>'
        warnings = [f"warning: {warning}" for warning in self.warnings[:MAX_WARNINGS]]
        if len(self.warnings) > MAX_WARNINGS:
            warnings.append(f"and {len(self.warnings) - MAX_WARNINGS} more warnings")
        lines = [
            f"<strong>{escape(self.title)}</strong>",
            *([f"<em>{escape(self.notice)}</em>"] if self.notice else []),
            f"{bar} {escape(self.status)}",
            *map(escape, [self.losses, *self.scores.values(), *warnings]),
        ]
        return "".join(f"<div>{line}</div>" for line in lines)

    def _update_sometimes(self) -> None:
        if monotonic() >= self.next_update:
            self._update()

    def _update(self) -> None:
        from IPython.display import HTML, display  # there is one, in a notebook

        if self.output is None:
            self.output = display(HTML(self.html()), display_id=True)
        else:
            self.output.update(HTML(self.html()))
        self.next_update = monotonic() + UPDATE_SECONDS
