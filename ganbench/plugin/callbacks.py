"""What a run reports while it proceeds: subclass `Callback` to show or track it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganbench.results.schema import DataRecord, EpochRow, MetricPoint, Result


@dataclass(frozen=True)
class RunInfo:
    """What is about to run, and on what device."""

    spec: dict[str, Any]  # resolved, as result.json has it
    device: str  # as torch writes it
    device_name: str
    data: DataRecord
    parameters: dict[str, int]  # trainable, per network
    steps_per_epoch: int
    total_steps: int


@dataclass(frozen=True)
class Progress:
    """Where training stands at the end of a window."""

    epoch: int
    step: int
    total_steps: int
    losses: dict[str, float]  # d_loss, g_loss and the monitors, of the last step
    images_per_second: float
    seconds_left: float  # of training, to the end of the schedule or of the budget
    images: int = 0  # real images shown to the discriminator so far


class Callback:
    """Receives the events of a run; each method does nothing by default.

    All are called outside the clock. Whatever a method draws at random does not affect training. One that raises is
    reported, and the run continues without the callback.
    """

    def on_run_start(self, info: RunInfo) -> None:
        """The data is loaded and the networks are built."""

    def on_status(self, status: str) -> None:
        """Something begins that takes a while and is not training, such as "warming up"."""

    def on_warning(self, message: str) -> None:
        """Something may be wrong, and the run continues."""

    def on_window_end(self, progress: Progress) -> None:
        """A window of training ended."""

    def on_epoch_end(self, row: EpochRow) -> None:
        """An epoch ended, or training did within one."""

    def on_score(self, label: str, point: MetricPoint) -> None:
        """A metric was computed."""

    def on_run_end(self, result: Result) -> None:
        """The run ended, whatever ended it, and its result is stored."""
