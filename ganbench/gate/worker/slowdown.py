"""Inject a slowdown into training, to test the gate. `main.py` loads this file by its path."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

CYCLES = 100_000_000  # of the GPU, about 50 ms


def slow_down(seconds_per_step: float, updates: int) -> None:
    """Make each step take longer: each of its `updates` waits for its share of the time."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    cuda, seconds = torch.cuda.is_available(), seconds_per_step / updates

    @cache
    def gpu_hertz() -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(CYCLES)  # until the clock has risen
        start.record()
        torch.cuda._sleep(CYCLES)
        end.record()
        end.synchronize()
        return CYCLES / (start.elapsed_time(end) / 1000)

    def wait(*_: Any) -> None:
        # on a GPU, both wait: a CUDA graph captures only what the device does, and without one, the device may be idle
        if cuda and torch.cuda.is_initialized():
            torch.cuda._sleep(int(seconds * gpu_hertz()))
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:  # busy-wait, because a sleep overshoots
            pass

    register_optimizer_step_pre_hook(wait)
