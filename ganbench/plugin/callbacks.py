"""Callbacks: the events of a run. Subclass `Callback` to display or track them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganbench.results.schema import DataRecord, EpochRow, MetricPoint, Result


@dataclass(frozen=True)
class RunInfo:
    """The run that is about to start."""

    spec: dict[str, Any]  # resolved, as in result.json
    device: str  # in torch's notation: "cuda:0"
    device_name: str
    data: DataRecord
    parameters: dict[str, int]  # trainable, per network
    steps_per_epoch: int
    total_steps: int
    precision: str  # of training, as the device has it: tf32 is fp32 on a CPU
    images: int = 0  # real images shown to the discriminator before; more than 0 if the run is resumed


@dataclass(frozen=True)
class UpcomingEvent:
    """Something other than training that a run does next, such as computing a score."""

    name: str  # "score fid, kid", "sample images" or "checkpoint"
    seconds: float  # estimated training time until then
    epoch: float | None = None  # None if it is due by time, or at the end of training


@dataclass(frozen=True)
class Progress:
    """The state of training at the end of a window."""

    epoch: int
    step: int
    total_steps: int
    losses: dict[str, float]  # d_loss, g_loss and the monitors in the last step
    images_per_second: float
    seconds_left: float  # estimated training time to the end of the schedule or the budget
    images: int = 0  # real images shown to the discriminator so far
    upcoming: tuple[UpcomingEvent, ...] = ()  # what comes next, soonest first
    disturbed: bool = False  # the speed is unreliable, because other runs share the machine


@dataclass(frozen=True)
class SampleImages:
    """A file of sample images that has been written."""

    path: Path  # absolute; a PNG with a grid of images, or a scatter plot of points
    kind: Literal["real", "generated"]
    images: int  # real images shown to the discriminator so far


@dataclass(frozen=True)
class TrackedRun:
    """A run as its tracker knows it; stored in trackers.json, and given to the tracker when the run is resumed."""

    id: str  # by which the tracker continues it
    url: str | None = None  # its page; None if it has none


class Callback:
    """Receives the events of a run. By default, each method does nothing.

    All methods are called outside the timed windows, and random numbers drawn in them do not affect training. If a
    method raises, the error is reported and the run continues without the callback.
    """

    tracked_run: TrackedRun | None = None  # set by a tracker in `on_run_start`, if it can continue a run

    def on_run_start(self, info: RunInfo) -> None:
        """Called when the data is loaded and the networks are built."""

    def on_status(self, status: str) -> None:
        """Called before something slow other than training begins, such as "warming up"."""

    def on_warning(self, message: str) -> None:
        """Called when something may be wrong; the run continues."""

    def on_window_end(self, progress: Progress) -> None:
        """Called at the end of each training window."""

    def on_epoch_end(self, row: EpochRow) -> None:
        """Called at the end of each epoch, and when training ends within one."""

    def on_score(self, label: str, point: MetricPoint) -> None:
        """Called when a metric has been computed."""

    def on_best(self, label: str, point: MetricPoint) -> None:
        """Called after `on_score` if the score is the best one of the run so far."""

    def on_sample_images(self, samples: SampleImages) -> None:
        """Called when sample images have been written."""

    def on_run_end(self, result: Result) -> None:
        """Called when the run has ended for any reason and its result is stored."""
