"""The plain engine, and what every engine does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ganbench.data.batches import Batches, Inputs
from ganbench.training.penalties import Variant
from ganbench.training.position import Position
from ganbench.training.step import StepOutput, TrainingStep
from ganbench.training.timing import Phase


class Engine(Protocol):
    """Takes a step, from a batch's inputs to the updates of both networks."""

    hidden_bytes: int  # device memory that steps use and that torch's peak in a window does not show

    def __call__(self, inputs: Inputs, at: Position, on_phase_end: Callable[[Phase], None]) -> StepOutput:
        """Take the step at a position; an engine that works phase by phase calls `on_phase_end` after each."""

    def last_phases(self) -> dict[Phase, float]:
        """Mean seconds by phase of recent whole steps, from an engine that does not call `on_phase_end`.

        The device must be idle.
        """


class EagerEngine:
    """Every operation is launched from Python, one by one."""

    hidden_bytes = 0

    def __init__(self, step: TrainingStep, batches: Batches) -> None:
        self.step = step
        self.batches = batches

    def __call__(self, inputs: Inputs, at: Position, on_phase_end: Callable[[Phase], None]) -> StepOutput:
        return self.work(inputs, self.step.begin(at, len(inputs[0])), on_phase_end)

    def work(self, inputs: Inputs, due: Variant, on_phase_end: Callable[[Phase], None]) -> StepOutput:
        """The step without what the host sets before it: all that is captured as a graph."""
        real, labels = self.batches.load(*inputs)
        on_phase_end("data")
        return self.step(real, labels, due, on_phase_end)

    def last_phases(self) -> dict[Phase, float]:
        return {}
