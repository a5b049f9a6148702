"""Clocks: windows of training synchronised only at their ends, split into phases, and what they amount to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

import numpy as np
import torch

from ganbench.result import Memory, Spread, Throughput, Window

Phase = Literal["data", "discriminator", "generator"]
PHASES: tuple[Phase, ...] = ("data", "discriminator", "generator")
WINDOW_SECONDS = 2.0


class TrainingClock:
    """Times windows of training, and within them the phases of each step.

    A window's seconds are wall time between two moments at which the device had nothing left to do. Phases are timed
    by CUDA events on a GPU, by the wall clock on a CPU; nothing waits for the device inside a window.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.windows: list[Window] = []
        self.phase_seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._marks: list[tuple[Phase | None, float | torch.cuda.Event]] = []

    def synchronize(self) -> None:
        """Wait until the device has finished what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextmanager
    def window(self, epoch: int) -> Iterator[WindowCount]:
        """Time the block as one window; the block counts its images in what it is given.

        A window in which no image was counted, or which an exception left, is not kept.
        """
        count = WindowCount()
        self.synchronize()
        self._marks = [(None, self._now())]
        start = perf_counter()
        yield count
        self.synchronize()
        seconds = perf_counter() - start
        self._add_phases()
        if count.images:
            self.windows.append(Window(epoch=epoch, images=count.images, seconds=seconds))

    def ended(self, phase: Phase) -> None:
        """The phase that began where the one before ended is over."""
        self._marks.append((phase, self._now()))

    @property
    def mean_images_per_second(self) -> float:
        """All images over all seconds of the windows so far."""
        return sum(window.images for window in self.windows) / sum(window.seconds for window in self.windows)

    def throughput(self, warmup_seconds: float) -> Throughput:
        """What all windows amount to."""
        rates = [window.images / window.seconds for window in self.windows]
        phase_total = sum(self.phase_seconds.values()) or 1.0
        return Throughput(
            images_per_second=spread(rates) if rates else None,
            seconds_per_kimg=1000 / spread(rates).median if rates else None,
            windows=self.windows,
            warmup_seconds=warmup_seconds,
            phases={phase: seconds / phase_total for phase, seconds in self.phase_seconds.items()},
        )

    def _now(self) -> float | torch.cuda.Event:
        if self.device.type != "cuda":
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _add_phases(self) -> None:
        for (_, start), (phase, end) in zip(self._marks, self._marks[1:], strict=False):
            assert phase is not None
            if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
                self.phase_seconds[phase] += start.elapsed_time(end) / 1000
            elif isinstance(start, float) and isinstance(end, float):
                self.phase_seconds[phase] += end - start
        self._marks = []


class WindowCount:
    """How many real images the discriminator was shown in a window."""

    images = 0


def spread(values: list[float]) -> Spread:
    """Median, 10th and 90th percentile, linearly interpolated."""
    p10, median, p90 = (float(value) for value in np.percentile(values, [10, 50, 90]))
    return Spread(median=median, p10=p10, p90=p90)


def windows_in(steps: int, step_seconds: float) -> list[int]:
    """How many steps each window takes: `steps` in about equal parts of about `WINDOW_SECONDS` each."""
    count = min(steps, max(1, round(steps * step_seconds / WINDOW_SECONDS)))
    return [steps * (index + 1) // count - steps * index // count for index in range(count)]


def peak_memory(device: torch.device) -> Memory:
    """The largest amounts of memory that this process has held so far."""
    return Memory(
        device_peak_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        host_peak_rss_bytes=_peak_rss(),
    )


def _peak_rss() -> int | None:
    if sys.platform == "win32":
        return None
    import resource  # there is none on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
