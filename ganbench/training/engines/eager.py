"""The plain engine, and what every engine does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ganbench.data.batches import Batches, Inputs
from ganbench.training.step import StepOutput, TrainingStep
from ganbench.training.timing import Phase


class Engine(Protocol):
    """Takes a step, from a batch's inputs to both players' updates."""

    hidden_bytes: int  # device memory that steps use and that torch's peak in a window does not show

    def __call__(self, inputs: Inputs, ended: Callable[[Phase], None]) -> StepOutput:
        """Take a step; `ended` is told after each phase by an engine that works phase by phase."""

    def last_phases(self) -> dict[Phase, float]:
        """Seconds by phase of the last step of a whole batch, from an engine that does not tell `ended`.

        The device must be idle.
        """


class EagerEngine:
    """Every operation is launched from Python, one by one."""

    hidden_bytes = 0

    def __init__(self, step: TrainingStep, batches: Batches) -> None:
        self.step = step
        self.batches = batches

    def __call__(self, inputs: Inputs, ended: Callable[[Phase], None]) -> StepOutput:
        real, labels = self.batches.load(*inputs)
        ended("data")
        return self.step(real, labels, ended)

    def last_phases(self) -> dict[Phase, float]:
        return {}
