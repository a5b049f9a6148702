"""`--profile`: the time of a step by phase and by kernel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile, record_function

from ganbench.data.batches import Inputs
from ganbench.errors import GanbenchError
from ganbench.results.schema import Profile, ProfiledKernel
from ganbench.system.files import atomic_write

from .engines import EagerEngine
from .timing import PHASES, Phase, synchronize

PROFILED_STEPS = 5  # with each combination of penalties that are due
PREFIX = "ganbench: "  # of the phases' names in the trace


class PhaseRanges:
    """Names the phases of eager steps in the profiler's trace.

    The device finishes each phase before the next one begins, so that kernels can be assigned to phases by time.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._open: Any = None

    def begin(self, phase: Phase) -> None:
        self._open = record_function(PREFIX + phase)
        self._open.__enter__()

    def on_phase_end(self, phase: Phase) -> None:
        synchronize(self.device)
        self._open.__exit__(None, None, None)
        following = PHASES.index(phase) + 1
        if following < len(PHASES):
            self.begin(PHASES[following])


def profile_steps(eager: EagerEngine, inputs: Inputs, trace: Path) -> Profile:
    """Take some eager steps under torch's profiler and write its trace, which Perfetto and Chrome can open.

    Means are weighted by the share of steps in which the same penalties are due.
    A CUDA graph replays the same kernels as an eager step; only the time between them differs. Raises `GanbenchError`
    if the profiler records no kernels.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # otherwise it logs its start and end
    os.environ.setdefault("TEARDOWN_CUPTI", "1")  # if left attached, it would slow the training that follows
    device = eager.step.latents.device
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    ranges, positions = PhaseRanges(device), eager.step.penalties.first_positions
    with profile(activities=activities, acc_events=True) as profiler:
        for at in positions:
            for _ in range(PROFILED_STEPS):
                ranges.begin(PHASES[0])
                eager(inputs, at, on_phase_end=ranges.on_phase_end)
    with atomic_write(trace) as part:
        profiler.export_chrome_trace(str(part))
    summary = summarize(list(profiler.events() or []), list(positions.values()), on_gpu)
    if not summary.kernels:
        raise GanbenchError(
            f"--profile: torch's profiler recorded no kernels on {device}; the driver may not permit it"
        )
    return summary


def summarize(events: list[Any], shares: list[float], on_gpu: bool) -> Profile:
    """Return the kernels in a profiler's events by phase and time; on a CPU, operators with their own time only.

    `shares` are those of the variants of a step, of which each was profiled in turn.
    """
    device_type = DeviceType.CUDA if on_gpu else DeviceType.CPU
    host_ranges = sorted(
        (event.time_range.start, event.time_range.end, event.name.removeprefix(PREFIX))
        for event in events
        if event.name.startswith(PREFIX) and event.device_type == DeviceType.CPU
    )
    seconds: dict[tuple[str, str], list[float]] = {}  # by phase and name, for each variant
    calls: dict[tuple[str, str], list[int]] = {}
    for event in events:
        named_range = event.name.startswith(PREFIX) or (on_gpu and event.is_user_annotation)
        if event.device_type != device_type or named_range:
            continue
        start = event.time_range.start
        number = next((number for number, (begin, end, _) in enumerate(host_ranges) if begin <= start <= end), None)
        if number is None:
            continue
        key, variant = (host_ranges[number][2], event.name), number // len(PHASES) // PROFILED_STEPS
        microseconds = event.time_range.elapsed_us() if on_gpu else event.self_cpu_time_total
        seconds.setdefault(key, [0.0] * len(shares))[variant] += microseconds / 1e6
        calls.setdefault(key, [0] * len(shares))[variant] += 1

    def per_step(sums: Sequence[float]) -> float:
        return sum(share * each for share, each in zip(shares, sums, strict=True)) / PROFILED_STEPS

    kernels = [
        ProfiledKernel(
            name=name, phase=phase, calls_per_step=per_step(calls[phase, name]), seconds_per_step=per_step(sums)
        )
        for (phase, name), sums in seconds.items()
    ]
    kernels.sort(key=lambda kernel: kernel.seconds_per_step, reverse=True)
    phases = {phase: sum(kernel.seconds_per_step for kernel in kernels if kernel.phase == phase) for phase in PHASES}
    return Profile(steps=PROFILED_STEPS * len(shares), phases=phases, kernels=kernels)
