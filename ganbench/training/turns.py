"""Runs that take turns in one process, such as several seeds of a benchmark on one GPU.

Small networks leave a GPU mostly idle. So each run launches a few steps on a CUDA stream of its own, then the next run
does, and the GPU works on the steps of all of them at the same time. Each run has default random number generators of
its own, so its results are bitwise those that it would have alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from ganbench.errors import GanbenchError
from ganbench.runtime.rng import IsolatedRNG

from .interrupt import Interrupt

if TYPE_CHECKING:
    from ganbench.results.schema import Result

    from .loop import TrainingLoop

T = TypeVar("T")
TURN_STEPS = 8  # exchanging the random number generators takes 0.2 ms per turn


@dataclass(frozen=True)
class Pause:
    """A moment at which other runs of the process may continue."""

    barrier: bool  # whether all runs wait here for one another
    window_steps: int = 0  # if a window begins after this pause: the number of its steps


STEP = Pause(barrier=False)
BARRIER = Pause(barrier=True)

# a generator that pauses, receives the number of steps where a window begins, and returns a value
Training = Generator[Pause, int, T]


def train_alone(training: Training[T]) -> T:
    """Train the only run of the process."""
    try:
        pause = next(training)
        while True:
            pause = training.send(pause.window_steps)
    except StopIteration as end:
        return end.value


class Turns:
    """The turns of one run, in which it finds the process as if it were the only run."""

    def __init__(self, device: torch.device) -> None:
        self._rng = IsolatedRNG(0, device)  # preparing a run seeds it
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.pause = BARRIER
        self.outcome: Result | GanbenchError | None = None  # None until the run has ended

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._rng, nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
            yield

    def begin(self, run: TrainingLoop, interrupt: Interrupt) -> None:
        """Begin with a run that was prepared in a turn. The first `take` warms it up, until its first window begins."""
        self.run, self._interrupt = run, interrupt
        self._training = run.execute(interrupt)

    @property
    def ready(self) -> bool:
        """Whether the run is warmed up, shares no state, and has a CUDA graph, which leaves the host little to do."""
        return self.outcome is None and self.run.captured and not self.run.shared_state

    def take(self, window_steps: int = 0) -> None:
        """Continue the run for one turn, which ends at a barrier; `window_steps` answers the pause before a window."""
        with self.turn():
            for _ in range(TURN_STEPS):
                try:
                    self.pause = self._training.send(window_steps) if window_steps else next(self._training)
                except StopIteration as end:
                    self._end(end.value)
                    return
                except GanbenchError as error:
                    self._end(error)
                    return
                if self.pause.barrier:
                    return
                window_steps = 0

    def finish(self) -> None:
        """Continue the run to its end."""
        while self.outcome is None:
            self.take(self.pause.window_steps)

    def interrupt(self) -> None:
        """End the run at once, unscored."""
        if self.outcome is not None:
            return
        with self.turn():
            try:
                self._training.throw(KeyboardInterrupt())
            except StopIteration as end:
                self._end(end.value)

    def _end(self, outcome: Result | GanbenchError) -> None:
        self.outcome = outcome
        self._interrupt.storing, self._interrupt.unsaved = False, True  # as at a pause of another run


def take_turns(runs: Sequence[Turns]) -> None:
    """Train runs of equal length that have begun. What ends one of them is its outcome, and the others continue.

    Those without a CUDA graph are trained one after another, as the host would be as busy with them at the same time,
    and so are those that share state.
    """
    if len(runs) > 1:
        for each in runs:
            each.run.share_memory()
    active = [each for each in runs if each.ready]
    if len(active) > 1:
        for each in active:
            each.run.share_device(len(active) - 1)
    while active:
        run_to_next_barrier(active)
        active = [each for each in active if each.outcome is None]
    for each in runs:
        each.finish()


def run_to_next_barrier(runs: Sequence[Turns]) -> None:
    """Continue runs to their next barrier or end. A window has as many steps as the first run asks for."""
    window_steps = runs[0].pause.window_steps
    for each in runs:
        each.take(window_steps)
    while under_way := [each for each in runs if each.outcome is None and not each.pause.barrier]:
        for each in under_way:
            each.take()
