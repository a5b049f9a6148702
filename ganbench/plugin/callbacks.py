"""What a run tells while it goes on: subclass `Observer` to show or track it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from ganbench.errors import GanbenchWarning, describe
from ganbench.results.result import DataRecord, EpochRow, Point
from ganbench.spec.benchmark import BenchmarkSpec


@dataclass(frozen=True)
class Plan:
    """What is about to run, on what."""

    spec: BenchmarkSpec
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


class Observer:
    """Is told what happens in a run; does nothing with it. All of it is called outside the clock."""

    def planned(self, plan: Plan) -> None:
        """The data is loaded and the networks are built."""

    def working(self, what: str) -> None:
        """Something begins that takes a while and is not training, such as "warming up"."""

    def warned(self, what: str) -> None:
        """Something is not as one would wish, and the run goes on."""

    def progressed(self, progress: Progress) -> None:
        """A window of training ended."""

    def epoch_ended(self, row: EpochRow) -> None:
        """An epoch ended, or training did within one."""

    def scored(self, label: str, point: Point) -> None:
        """A metric was computed."""


class DroppedIfItFails(Observer):
    """Passes everything on to an observer until that raises: then it warns once, and the run goes on without it."""

    def __init__(self, observer: Observer) -> None:
        self.observer: Observer | None = observer

    def planned(self, plan: Plan) -> None:
        self._pass_on("planned", plan)

    def working(self, what: str) -> None:
        self._pass_on("working", what)

    def warned(self, what: str) -> None:
        self._pass_on("warned", what)

    def progressed(self, progress: Progress) -> None:
        self._pass_on("progressed", progress)

    def epoch_ended(self, row: EpochRow) -> None:
        self._pass_on("epoch_ended", row)

    def scored(self, label: str, point: Point) -> None:
        self._pass_on("scored", label, point)

    def _pass_on(self, method: str, *arguments: object) -> None:
        if self.observer is None:
            return
        try:
            getattr(self.observer, method)(*arguments)
        except (Exception, SystemExit) as error:
            name = type(self.observer).__qualname__
            self.observer = None
            warnings.warn(
                f"the observer {name} raised in {method}, and the run continues without it: {describe(error)}",
                GanbenchWarning,
                stacklevel=2,
            )
