"""Clocks: windows of training synchronised only at their ends, split into phases, and what they amount to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from time import perf_counter
from typing import Literal

import numpy as np
import torch

from ganbench.results.schema import Memory, Percentiles, Window
from ganbench.runtime.cpu_usage import CPUMonitor
from ganbench.runtime.memory import peak_rss
from ganbench.runtime.nvml import GPUMonitor

Phase = Literal["data", "discriminator", "generator"]
PHASES: tuple[Phase, ...] = ("data", "discriminator", "generator")
WINDOW_SECONDS = 2.0


class TrainingClock:
    """Times windows of training by three clocks, and within them the phases of each step.

    A window's seconds are wall time between two moments at which the device had nothing left to do. Beside them stand
    how long the host took to hand over the work and, on a GPU, how long the device took by its own events. Phases are
    timed by CUDA events on a GPU, by the wall clock on a CPU; nothing waits for the device inside a window.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.windows: list[Window] = []
        self.phase_seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self.device_peak_bytes = 0
        self.graph_memory_bytes = 0  # that steps take on the device while they run, and torch's own peak does not show
        self.host_peak_bytes: int | None = None
        self.step_seconds = 0.0  # of the last window's steps; before there is one, what the warm-up measured
        self._gpu = GPUMonitor(device)
        self._cpu = CPUMonitor()
        self._marks: list[tuple[Phase | None, float | torch.cuda.Event]] = []
        self._finished_seconds = 0.0
        self._opened_at: float | None = None

    def resume_from(self, windows: list[Window], phase_seconds: Mapping[str, float], memory: Memory) -> None:
        """Count what an earlier process of the same run has timed. Nothing in between is anybody's time."""
        self.windows = list(windows)
        self.phase_seconds = {phase: phase_seconds[phase] for phase in PHASES}
        self._finished_seconds = sum(window.seconds for window in windows)
        self.device_peak_bytes = memory.device_peak_bytes or 0
        self.host_peak_bytes = memory.host_peak_rss_bytes

    @contextmanager
    def window(self, epoch: int) -> Iterator[WindowCount]:
        """Time the block as one window; the block counts its images in what it is given, and says if it is cut short.

        A window in which no image was counted, or which an exception left, is not kept.
        """
        count = WindowCount()
        self._cpu.begin()
        synchronize(self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        joules = self._gpu.joules()
        start = self._now()
        self._marks = [(None, start)]
        self._opened_at = perf_counter()
        try:
            yield count
            end = self._now()
            dispatch_seconds = perf_counter() - self._opened_at
            synchronize(self.device)
            seconds = perf_counter() - self._opened_at
        finally:
            self._opened_at = None
        self._finished_seconds += seconds
        if count.steps:
            self.step_seconds = seconds / count.steps
        self._add_marked_phases()
        self.host_peak_bytes = max(filter(None, (peak_rss(), self.host_peak_bytes)), default=None)
        if self.device.type == "cuda":
            replayed = torch.cuda.memory_allocated(self.device) + self.graph_memory_bytes
            peak = max(torch.cuda.max_memory_allocated(self.device), replayed)
            self.device_peak_bytes = max(self.device_peak_bytes, peak)
        if count.images:
            window = Window(
                epoch=epoch,
                images=count.images,
                seconds=seconds,
                dispatch_seconds=dispatch_seconds,
                device_seconds=between(start, end) if self.device.type == "cuda" else None,
                gpu=self._gpu.reading(since=joules),
                cpu=self._cpu.reading(),
                complete=count.complete,
            )
            self.windows.append(window)

    def on_phase_end(self, phase: Phase) -> None:
        """The phase that began where the one before ended is over."""
        self._marks.append((phase, self._now()))

    def add_phases(self, seconds: Mapping[Phase, float], steps: int) -> None:
        """Count the phases of one step for as many of the last window, whose steps did not tell of theirs."""
        for phase, value in seconds.items():
            self.phase_seconds[phase] += value * steps

    @property
    def training_seconds(self) -> float:
        """Seconds in windows so far, the open one included (by the host's clock)."""
        return self._finished_seconds + (perf_counter() - self._opened_at if self._opened_at is not None else 0.0)

    def window_steps(self, steps_left: int, window_seconds: float = WINDOW_SECONDS) -> int:
        """How many steps the next window takes: the first of about equal parts of about so many seconds each.

        It follows the speed, which can change while a run trains: on a shared machine the warm-up may be slow.
        """
        windows = max(1, round(steps_left * self.step_seconds / window_seconds))
        return max(1, steps_left // windows)

    def rate(self) -> Percentiles | None:
        """Images a second over all windows; None when there is none."""
        if not self.windows:
            return None
        rates = [window.images / window.seconds for window in self.windows]
        seconds = [window.seconds for window in self.windows]
        quantiles = np.quantile(rates, [0.1, 0.5, 0.9], weights=seconds, method="inverted_cdf")
        p10, median, p90 = (float(value) for value in quantiles)
        return Percentiles(median=median, p10=p10, p90=p90)

    def seconds_per_image(self) -> float | None:
        """Over all windows together; None when there is none."""
        images = sum(window.images for window in self.windows)
        return sum(window.seconds for window in self.windows) / images if images else None

    def phases(self) -> dict[str, float]:
        """Shares of training time."""
        total = sum(self.phase_seconds.values()) or 1.0
        return {phase: seconds / total for phase, seconds in self.phase_seconds.items()}

    def joules_per_image(self) -> float | None:
        """Energy of the whole board over all windows; None where it is not told."""
        told = [(window.gpu.joules, window.images) for window in self.windows if window.gpu and window.gpu.joules]
        return sum(joules for joules, _ in told) / sum(images for _, images in told) if told else None

    def memory(self) -> Memory:
        """The peaks over the windows."""
        return Memory(
            device_peak_bytes=self.device_peak_bytes if self.device.type == "cuda" else None,
            host_peak_rss_bytes=self.host_peak_bytes,
        )

    def _now(self) -> float | torch.cuda.Event:
        if self.device.type != "cuda":
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _add_marked_phases(self) -> None:
        for (_, start), (phase, end) in pairwise(self._marks):
            assert phase is not None
            self.phase_seconds[phase] += between(start, end)
        self._marks = []


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def between(start: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    """Seconds between two moments of one clock, both past."""
    if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
        return start.elapsed_time(end) / 1000
    assert isinstance(start, float)
    assert isinstance(end, float)
    return end - start


class WindowCount:
    """How many steps a window took on how many real images, and whether it ran to its planned end."""

    steps = 0
    images = 0
    complete = True

    def add(self, images: int) -> None:
        """Count a step of so many images."""
        self.steps += 1
        self.images += images
