"""The interface of engines, and the eager engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ganbench.data.batches import Batches, Inputs
from ganbench.training.penalties import Variant
from ganbench.training.position import Position
from ganbench.training.step import TrainingStep
from ganbench.training.step_output import StepOutput
from ganbench.training.timing import Phase


def ignore(phase: Phase) -> None:
    """Do nothing: phases are not timed."""


class Engine(Protocol):
    """Takes steps, from a batch's inputs to the updates of both networks."""

    graph_memory_bytes: int  # device memory that steps use and that torch's peak does not include

    def __call__(self, inputs: Inputs, at: Position, on_phase_end: Callable[[Phase], None] = ignore) -> StepOutput:
        """Take the step at a position; an engine that executes phases one by one calls `on_phase_end` after each."""

    def last_phases(self) -> dict[Phase, float]:
        """Return mean seconds by phase of recent full-batch steps, if the engine does not call `on_phase_end`.

        The device must be idle.
        """


class EagerEngine:
    """Launches every operation from Python."""

    graph_memory_bytes = 0

    def __init__(self, step: TrainingStep, batches: Batches) -> None:
        self.step = step
        self.batches = batches

    def __call__(self, inputs: Inputs, at: Position, on_phase_end: Callable[[Phase], None] = ignore) -> StepOutput:
        return self.work(inputs, self.step.begin(at, len(inputs[0])), on_phase_end)

    def work(self, inputs: Inputs, due: Variant, on_phase_end: Callable[[Phase], None] = ignore) -> StepOutput:
        """Take a step without its preparation on the host: the part that a CUDA graph captures."""
        real, labels = self.batches.load(*inputs)
        on_phase_end("data")
        return self.step(real, labels, due, on_phase_end)

    def last_phases(self) -> dict[Phase, float]:
        return {}
