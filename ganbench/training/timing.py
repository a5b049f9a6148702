"""Clocks: windows of training synchronised only at their ends, split into phases, and what they amount to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Literal

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
        self.device_peak_bytes = 0
        self._marks: list[tuple[Phase | None, float | torch.cuda.Event]] = []
        self._finished_seconds = 0.0
        self._opened_at: float | None = None

    def synchronize(self) -> None:
        """Wait until the device has finished what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextmanager
    def window(self, epoch: int) -> Iterator[WindowCount]:
        """Time the block as one window; the block counts its images in what it is given, and says if it is cut short.

        A window in which no image was counted, or which an exception left, is not kept.
        """
        count = WindowCount()
        self.synchronize()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._marks = [(None, self._now())]
        self._opened_at = perf_counter()
        try:
            yield count
            self.synchronize()
            seconds = perf_counter() - self._opened_at
        finally:
            self._opened_at = None
        self._finished_seconds += seconds
        self._add_phases()
        if self.device.type == "cuda":
            self.device_peak_bytes = max(self.device_peak_bytes, torch.cuda.max_memory_allocated(self.device))
        if count.images:
            self.windows.append(Window(epoch=epoch, images=count.images, seconds=seconds, whole=count.whole))

    def ended(self, phase: Phase) -> None:
        """The phase that began where the one before ended is over."""
        self._marks.append((phase, self._now()))

    @property
    def training_seconds(self) -> float:
        """Seconds in windows so far, the open one included (by the host's clock)."""
        return self._finished_seconds + (perf_counter() - self._opened_at if self._opened_at is not None else 0.0)

    def throughput(self, warmup_seconds: float, stamp: dict[str, Any]) -> Throughput:
        """What all windows amount to."""
        rates = [window.images / window.seconds for window in self.windows if window.whole]
        phase_total = sum(self.phase_seconds.values()) or 1.0
        return Throughput(
            images_per_second=spread(rates) if rates else None,
            seconds_per_kimg=1000 / spread(rates).median if rates else None,
            windows=self.windows,
            warmup_seconds=warmup_seconds,
            phases={phase: seconds / phase_total for phase, seconds in self.phase_seconds.items()},
            stamp=stamp,
        )

    def memory(self) -> Memory:
        """The peaks: on the device inside windows, on the host over the whole process."""
        return Memory(
            device_peak_bytes=self.device_peak_bytes if self.device.type == "cuda" else None,
            host_peak_rss_bytes=peak_rss(),
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
    """How many real images the discriminator was shown in a window, and whether it ran to its planned end."""

    images = 0
    whole = True


def spread(values: list[float]) -> Spread:
    """Median, 10th and 90th percentile, linearly interpolated."""
    p10, median, p90 = (float(value) for value in np.percentile(values, [10, 50, 90]))
    return Spread(median=median, p10=p10, p90=p90)


def windows_in(steps: int, step_seconds: float) -> list[int]:
    """How many steps each window takes: `steps` in about equal parts of about `WINDOW_SECONDS` each."""
    count = min(steps, max(1, round(steps * step_seconds / WINDOW_SECONDS)))
    return [steps * (index + 1) // count - steps * index // count for index in range(count)]


def peak_rss() -> int | None:
    """The most memory that this process has held since its start, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource  # there is none on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
