"""Live display of a run: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as ProgressBar

from ganbench.plugin.callbacks import Progress, RunInfo
from ganbench.results.schema import EpochRow, MetricPoint
from ganbench.system.cpu_features import has_bf16_instructions

from .display import Display
from .formatting import duration, loss_columns, losses_line, number
from .result_tables import run_info_table

LONG_RUN_SECONDS = 600
PLAIN_LINE_SECONDS = 30.0
EPOCH_LINE_SECONDS = 0.5  # epochs can be faster than anyone can read


class LiveDisplay(Display):
    """Shows the progress of a run on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = ProgressBar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:.0f}%"),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
            transient=True,
            auto_refresh=False,  # a refresh thread would disturb the timing
        )
        self.task: TaskID | None = None
        self.info: RunInfo | None = None
        self.next_plain_line = self.next_epoch_line = 0.0
        self.pending_epoch: EpochRow | None = None  # completed but not yet printed

    def on_run_start(self, info: RunInfo) -> None:
        self.info = info
        if info.data.notice:
            self.console.print(f"[bold yellow]{escape(info.data.notice)}[/]\n", highlight=False)
        self.console.print(run_info_table(info))

    def on_status(self, status: str) -> None:
        self._print_epoch()
        if self.console.is_terminal and self.task is not None:
            self.bar.update(self.task, status=status)
            self.bar.refresh()
        else:
            self.console.print(f"[dim]{escape(status)} ...[/]")

    def on_warning(self, message: str) -> None:
        self.console.print(f"[bold yellow]{escape(message)}[/]", highlight=False)

    def on_window_end(self, progress: Progress) -> None:
        assert self.info is not None
        if self.task is None:
            self._print_estimate(progress)
            self.task = self.bar.add_task("", total=progress.total_steps, epoch=progress.epoch, status="")
            if self.console.is_terminal:
                self.bar.start()
        status = f"{losses_line(progress.losses)}  {progress.images_per_second:,.0f} images/s"
        left = f"{duration(progress.seconds_left)} left"
        self.bar.update(self.task, completed=progress.step, epoch=progress.epoch, status=f"{status}  {left}")
        self.bar.refresh()
        if not self.console.is_terminal and monotonic() >= self.next_plain_line:
            self.next_plain_line = monotonic() + PLAIN_LINE_SECONDS
            self._print(f"epoch {progress.epoch}, step {progress.step}/{progress.total_steps}: {status}  {left}")

    def on_epoch_end(self, row: EpochRow) -> None:
        self.pending_epoch = row
        if monotonic() >= self.next_epoch_line:
            self._print_epoch()

    def _print_epoch(self) -> None:
        row, self.pending_epoch = self.pending_epoch, None
        if row is None:
            return
        self.next_epoch_line = monotonic() + EPOCH_LINE_SECONDS
        self._print(f"epoch {row.epoch}: {losses_line(loss_columns(row))}  {row.images_per_second:,.0f} images/s")

    def on_score(self, label: str, point: MetricPoint) -> None:
        self._print(f"epoch {point.epoch:.3g}: {label} {number(point.value)}")

    def stop(self) -> None:
        """Print the last epoch and remove the progress bar."""
        self._print_epoch()
        self.bar.stop()

    def _print_estimate(self, progress: Progress) -> None:
        assert self.info is not None
        self._print(f"training will take about {duration(progress.seconds_left)}")
        if progress.seconds_left <= LONG_RUN_SECONDS:
            return
        training = self.info.spec["training"]
        if "budget_seconds" not in training:
            self.console.print(
                "[dim]to stop early and keep the result so far, press Ctrl-C, or use --budget 5m next time[/]"
            )
        if self.info.device == "cpu" and training["precision"] != "bf16" and has_bf16_instructions():
            self.console.print(
                "[dim]this CPU has bfloat16 instructions: --precision bf16 may train faster, with other rounding[/]"
            )

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
