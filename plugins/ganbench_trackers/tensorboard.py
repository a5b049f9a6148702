"""Log losses, monitors, throughput and scores as TensorBoard event files."""

from __future__ import annotations

from pathlib import Path

from tensorboardX import SummaryWriter

from ganbench import Callback, EpochRow, MetricPoint, Progress, Result, RunInfo


class TensorBoard(Callback):
    """Writes scalars; the global step is the number of real images seen."""

    def __init__(self, directory: Path) -> None:
        self.writer = SummaryWriter(str(directory))

    def on_run_start(self, info: RunInfo) -> None:
        self.writer.add_text("benchmark", info.spec["name"])

    def on_window_end(self, progress: Progress) -> None:
        for name, value in progress.losses.items():
            self.writer.add_scalar(name, value, progress.images)
        self.writer.add_scalar("images_per_second", progress.images_per_second, progress.images)

    def on_epoch_end(self, row: EpochRow) -> None:
        self.writer.flush()

    def on_score(self, label: str, point: MetricPoint) -> None:
        if point.value is not None:
            self.writer.add_scalar(label, point.value, point.images)

    def on_run_end(self, result: Result) -> None:
        self.writer.close()
