"""Timing windows of training, synchronized only at their ends and split into phases, and their statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from time import perf_counter
from typing import Literal

import numpy as np
import torch

from ganbench.plugin.interfaces import PLAYERS
from ganbench.results.throughput import Memory, Percentiles, Window
from ganbench.runtime.cpu_usage import CPUMonitor
from ganbench.runtime.memory import peak_rss
from ganbench.runtime.nvml import GPUMonitor
from ganbench.runtime.ranks import SINGLE, Ranks

Phase = Literal["data", "discriminator", "generator"]
PHASES: tuple[Phase, ...] = ("data", *PLAYERS)
MAX_STRETCH = 5  # times the window length, for a period of lazy penalties


class TrainingClock:
    """Times windows of training with three clocks, and the phases of each step within them.

    A window's seconds are wall time between two moments at which the device was idle. The time in which the host
    launched the work is recorded too and, on a GPU, the time between CUDA events at both ends. Phases are timed with
    CUDA events on a GPU and with the wall clock on a CPU; nothing waits for the device inside a window.
    """

    def __init__(self, device: torch.device, ranks: Ranks = SINGLE) -> None:
        self.device = device
        self.ranks = ranks
        self.windows: list[Window] = []
        self.phase_seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self.device_peak_bytes = 0
        self.graph_memory_bytes = 0  # that steps use on the device and torch's peak does not include
        self.host_peak_bytes: int | None = None
        self.has_own_memory = self.has_own_energy = True  # not that of other runs, too
        self.step_seconds = 0.0  # of the last window's steps; before the first window, as measured by the warm-up
        self._gpu = GPUMonitor(device)
        self._cpu = CPUMonitor(ranks.local_size)
        self._marks: list[tuple[Phase | None, float | torch.cuda.Event]] = []
        self._finished_seconds = 0.0
        self._opened_at: float | None = None

    def resume_from(self, windows: list[Window], phase_seconds: Mapping[str, float], memory: Memory) -> None:
        """Continue from the measurements of an earlier process of the same run; the time in between is not counted."""
        self.windows = list(windows)
        self.phase_seconds = {phase: phase_seconds[phase] for phase in PHASES}
        self._finished_seconds = sum(window.seconds for window in windows)
        known = memory.device_peak_bytes is not None or memory.host_peak_rss_bytes is not None
        self.has_own_memory = known or not windows
        self.device_peak_bytes = memory.device_peak_bytes or 0
        self.host_peak_bytes = memory.host_peak_rss_bytes

    @contextmanager
    def window(self, epoch: int) -> Iterator[WindowCount]:
        """Time the block as one window; the block counts its images and marks the window if it ends early.

        A window without images, or ended by an exception, is not recorded.
        """
        count = WindowCount()
        self._cpu.begin()
        synchronize(self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        # of a whole device, which must be the only one of the run, and have no other run
        joules = self._gpu.joules() if self.ranks.alone and self.has_own_energy else None
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
                device_seconds=seconds_between(start, end) if self.device.type == "cuda" else None,
                gpu=self._gpu.reading(since=joules),
                cpu=self._cpu.reading(),
                complete=count.complete,
            )
            self.windows.append(window)

    def on_phase_end(self, phase: Phase) -> None:
        """Mark the end of a phase, which began at the end of the previous one."""
        self._marks.append((phase, self._now()))

    def add_phases(self, seconds: Mapping[Phase, float], steps: int) -> None:
        """Add the phases of one step, for all `steps` of the last window: its engine does not call `on_phase_end`."""
        for phase, value in seconds.items():
            self.phase_seconds[phase] += value * steps

    @property
    def training_seconds(self) -> float:
        """Seconds in windows so far, including the open one (by the host's clock)."""
        return self._finished_seconds + (perf_counter() - self._opened_at if self._opened_at is not None else 0.0)

    def window_steps(self, steps_left: int, window_seconds: float, period: int = 1, in_period: int = 0) -> int:
        """Return the number of steps in the next window, if the remaining ones are split into windows of equal length.

        It follows the current speed, as that can change during a run: on a shared machine, the warm-up may be slow.

        Steps with lazy penalties take longer, and recur every `period` steps, of which `in_period` have been taken. So
        that windows have equal work, each but the last ends together with a period. If a period takes much longer than
        `window_seconds`, it is split, and ends together with a window.
        """
        steps = self._equal_part(steps_left, window_seconds)
        period_left = min(period - in_period, steps_left)
        if steps == steps_left:
            return steps
        if steps >= period_left:
            return steps - (steps - period_left) % period
        if period * self.step_seconds <= MAX_STRETCH * window_seconds:
            return period_left
        return self._equal_part(period_left, window_seconds)

    def _equal_part(self, steps: int, window_seconds: float) -> int:
        windows = max(1, round(steps * self.step_seconds / window_seconds))
        return max(1, steps // windows)

    def rate(self) -> Percentiles | None:
        """Return images/s over all windows; None before the first window."""
        if not self.windows:
            return None
        rates = [window.images / window.seconds for window in self.windows]
        seconds = [window.seconds for window in self.windows]
        quantiles = np.quantile(rates, [0.1, 0.5, 0.9], weights=seconds, method="inverted_cdf")
        p10, median, p90 = (float(value) for value in quantiles)
        return Percentiles(median=median, p10=p10, p90=p90)

    def seconds_per_image(self) -> float | None:
        """Return the mean over all windows; None before the first window."""
        images = sum(window.images for window in self.windows)
        return sum(window.seconds for window in self.windows) / images if images else None

    def phases(self) -> dict[str, float]:
        """Return each phase's share of training time."""
        total = sum(self.phase_seconds.values()) or 1.0
        return {phase: seconds / total for phase, seconds in self.phase_seconds.items()}

    def joules_per_image(self) -> float | None:
        """Return the energy of the whole board over all windows; None if the GPU does not report it.

        Its counter advances in steps, so the energy of a short window may be counted in a later one.
        """
        known = [
            (window.gpu.joules, window.images)
            for window in self.windows
            if window.gpu and window.gpu.joules is not None
        ]
        joules = sum(joules for joules, _ in known)
        return joules / sum(images for _, images in known) if joules else None

    def memory(self) -> Memory:
        """Return the peaks over all windows; None for what is unknown."""
        if not self.has_own_memory:
            return Memory(device_peak_bytes=None, host_peak_rss_bytes=None)
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
            self.phase_seconds[phase] += seconds_between(start, end)
        self._marks = []


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_between(start: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    """Return the seconds between two past moments of the same clock."""
    if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
        return start.elapsed_time(end) / 1000
    assert isinstance(start, float)
    assert isinstance(end, float)
    return end - start


class WindowCount:
    """The steps and real images of a window, and whether it ran to its planned end."""

    steps = 0
    images = 0
    complete = True

    def add(self, images: int) -> None:
        """Count a step of `images` real images."""
        self.steps += 1
        self.images += images
