"""Live view of a run on a terminal: curves of the losses, scores, what comes next, and pictures above."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.live import Live

from ganbench.plugin.callbacks import Progress, RunInfo, SampleImages
from ganbench.results.schema import EpochRow, MetricPoint, Result

from .lines import LineDisplay
from .pictures import draw_picture
from .view import RunView

REFRESH_SECONDS = 0.5  # between two updates of the view
PICTURE_SECONDS = 10.0  # between two pictures; of those in between, the last one is shown


class LiveDisplay(LineDisplay):
    """Prints lines until training starts; then shows a view that is updated in place, with pictures above it.

    The view is drawn between the timed windows, in the main thread: a thread of its own would disturb the timing.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.view: RunView | None = None
        self.live = Live(console=console, auto_refresh=False, get_renderable=lambda: self.view or "")
        self._next_refresh = self._next_picture = 0.0
        self._pending_picture: SampleImages | None = None  # written but not yet shown

    def on_run_start(self, info: RunInfo) -> None:
        super().on_run_start(info)
        self.view = RunView(info)

    def on_status(self, status: str) -> None:
        if self.view is None or not self.live.is_started:
            super().on_status(status)
        else:
            self.view.status = f"{status} ..."
            self._refresh()  # at once: something slow follows

    def on_window_end(self, progress: Progress) -> None:
        assert self.view is not None
        self.view.add_progress(progress)
        if not self.live.is_started:
            self.print_estimate(progress)
            self.live.start()
        self._print_picture()
        self._refresh_sometimes()

    def on_epoch_end(self, row: EpochRow) -> None:
        """Print nothing: the view has the losses."""

    def on_score(self, label: str, point: MetricPoint) -> None:
        assert self.view is not None
        self.view.add_score(label, point)
        if self.live.is_started:
            self._refresh_sometimes()
        else:
            super().on_score(label, point)

    def on_best(self, label: str, point: MetricPoint) -> None:
        assert self.view is not None
        self.view.best[label] = point

    def on_sample_images(self, samples: SampleImages) -> None:
        if samples.kind == "generated":
            self._pending_picture = samples
            self._print_picture()

    def on_run_end(self, result: Result) -> None:
        if self.view is not None:
            self.view.status = result.status

    def stop(self) -> None:
        """Show the last picture, and leave the view as it is now."""
        try:
            self._print_picture(at_once=True)
        finally:
            self.live.stop()

    def _refresh_sometimes(self) -> None:
        if monotonic() >= self._next_refresh:
            self._refresh()

    def _refresh(self) -> None:
        self.live.refresh()
        self._next_refresh = monotonic() + REFRESH_SECONDS

    def _print_picture(self, at_once: bool = False) -> None:
        """Print the latest picture above the view, unless another one was printed a moment ago."""
        samples = self._pending_picture
        if samples is None or not (at_once or monotonic() >= self._next_picture):
            return
        assert self.info is not None
        self._pending_picture = None
        self._next_picture = monotonic() + PICTURE_SECONDS
        drawn = draw_picture(samples.path, self.info, self.console, os.environ)
        if drawn is not None:
            folder = Path.cwd()
            path = samples.path.relative_to(folder) if samples.path.is_relative_to(folder) else samples.path
            self.print_line(f"sample images in {path}")
            self.console.print(drawn)
