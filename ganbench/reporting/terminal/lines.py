"""Progress of a run as plain lines: for logs, pipes and terminals that cannot move the cursor."""

from __future__ import annotations

from time import monotonic

from rich.console import Console
from rich.markup import escape

from ganbench.plugin.callbacks import Progress, RunInfo
from ganbench.reporting.console import print_text
from ganbench.reporting.display import Display
from ganbench.reporting.formatting import duration, losses_line, number, speed
from ganbench.reporting.run_info_table import run_info_table
from ganbench.results.schema import EpochRow, MetricPoint, epochs_text
from ganbench.results.throughput import rate_text
from ganbench.system.cpu_features import has_bf16_instructions

LONG_RUN_SECONDS = 600
PROGRESS_SECONDS = 30.0  # between two lines about the progress
EPOCH_SECONDS = 0.5  # between two lines about epochs, which can be faster than anyone can read


class LineDisplay(Display):
    """Prints the progress of a run as lines that are never changed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.info: RunInfo | None = None
        self._estimated = False
        self._next_progress = self._next_epoch = 0.0
        self._pending_epoch: EpochRow | None = None  # completed but not yet printed

    def on_run_start(self, info: RunInfo) -> None:
        self.info = info
        if info.data.notice:
            self.console.print(f"[bold yellow]{escape(info.data.notice)}[/]\n", highlight=False)
        self.console.print(run_info_table(info))

    def on_status(self, status: str) -> None:
        self._print_epoch()
        self.console.print(f"[dim]{escape(status)} ...[/]")

    def on_warning(self, message: str) -> None:
        self.console.print(f"[bold yellow]{escape(message)}[/]", highlight=False)

    def on_window_end(self, progress: Progress) -> None:
        if not self._estimated:
            self._estimated = True
            self.print_estimate(progress)
        if monotonic() >= self._next_progress:
            self._next_progress = monotonic() + PROGRESS_SECONDS
            rate = speed(progress.images_per_second, progress.disturbed)
            self.print_line(
                f"epoch {progress.epoch}, step {progress.step}/{progress.total_steps}: {losses_line(progress.losses)}  "
                f"{rate} images/s  {duration(progress.seconds_left)} left"
            )

    def on_epoch_end(self, row: EpochRow) -> None:
        self._pending_epoch = row
        if monotonic() >= self._next_epoch:
            self._print_epoch()

    def on_score(self, label: str, point: MetricPoint) -> None:
        self.print_line(f"epoch {epochs_text(point.epoch)}: {label} {number(point.value)}")

    def stop(self) -> None:
        """Print the last epoch."""
        self._print_epoch()

    def print_estimate(self, progress: Progress) -> None:
        """Say how long training will take, and how a long run can be ended early or made faster."""
        self.print_line(f"training will take about {duration(progress.seconds_left)}")
        assert self.info is not None
        if progress.seconds_left <= LONG_RUN_SECONDS:
            return
        training = self.info.spec["training"]
        if "budget_seconds" not in training:
            self.console.print(
                "[dim]to stop early and keep the result so far, press Ctrl-C, or use --budget 5m next time[/]"
            )
        if self.info.device == "cpu" and training["precision"] != "bf16" and has_bf16_instructions():
            self.console.print(
                "[dim]this CPU has bfloat16 instructions: --precision bf16 may train faster, with different rounding[/]"
            )

    def print_line(self, text: str) -> None:
        print_text(self.console, text)

    def _print_epoch(self) -> None:
        row, self._pending_epoch = self._pending_epoch, None
        if row is None:
            return
        self._next_epoch = monotonic() + EPOCH_SECONDS
        self.print_line(f"epoch {row.epoch}: {losses_line(row.losses)}  {rate_text(row.images_per_second)} images/s")
