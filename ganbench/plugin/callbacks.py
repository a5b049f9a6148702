"""What a run tells while it goes on: subclass `Callback` to show or track it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from ganbench.errors import GanbenchWarning, describe
from ganbench.results.schema import DataRecord, EpochRow, MetricPoint


@dataclass(frozen=True)
class RunInfo:
    """What is about to run, on what."""

    spec: dict[str, Any]  # resolved, as result.json has it
    device: str  # as torch writes it
    device_name: str
    data: DataRecord
    parameters: dict[str, int]  # trainable, by player
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


class Callback:
    """Is told what happens in a run; does nothing with it. All of it is called outside the clock."""

    def on_run_start(self, info: RunInfo) -> None:
        """The data is loaded and the networks are built."""

    def on_status(self, what: str) -> None:
        """Something begins that takes a while and is not training, such as "warming up"."""

    def on_warning(self, what: str) -> None:
        """Something is not as one would wish, and the run goes on."""

    def on_window_end(self, progress: Progress) -> None:
        """A window of training ended."""

    def on_epoch_end(self, row: EpochRow) -> None:
        """An epoch ended, or training did within one."""

    def on_score(self, label: str, point: MetricPoint) -> None:
        """A metric was computed."""


class DropOnError(Callback):
    """Passes everything on to an callback until that raises: then it warns once, and the run goes on without it."""

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def on_run_start(self, info: RunInfo) -> None:
        self._pass_on("on_run_start", info)

    def on_status(self, what: str) -> None:
        self._pass_on("on_status", what)

    def on_warning(self, what: str) -> None:
        self._pass_on("on_warning", what)

    def on_window_end(self, progress: Progress) -> None:
        self._pass_on("on_window_end", progress)

    def on_epoch_end(self, row: EpochRow) -> None:
        self._pass_on("on_epoch_end", row)

    def on_score(self, label: str, point: MetricPoint) -> None:
        self._pass_on("on_score", label, point)

    def _pass_on(self, method: str, *arguments: object) -> None:
        if self.callback is None:
            return
        try:
            getattr(self.callback, method)(*arguments)
        except (Exception, SystemExit) as error:
            name = type(self.callback).__qualname__
            self.callback = None
            warnings.warn(
                f"the callback {name} raised in {method}, and the run continues without it: {describe(error)}",
                GanbenchWarning,
                stacklevel=2,
            )
