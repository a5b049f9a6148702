"""Inject a slowdown into training, to test the gate. `worker.py` loads this file by its path."""

from __future__ import annotations

import time
from typing import Any

GPU_HERTZ = 1.5e9  # approximate; an injected slowdown need not be exact


def slow_down(seconds_per_step: float, updates: int) -> None:
    """Make each step take longer: each of its `updates` waits for its share of the time."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    cuda, seconds = torch.cuda.is_available(), seconds_per_step / updates

    def wait(*_: Any) -> None:
        if cuda and torch.cuda.is_initialized():
            torch.cuda._sleep(int(seconds * GPU_HERTZ))  # on the device, so that a CUDA graph captures it
        else:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:  # busy-wait, because a sleep overshoots
                pass

    register_optimizer_step_pre_hook(wait)
