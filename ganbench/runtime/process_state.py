"""The process-wide state that a run depends on: that of a fresh process within a run, and as found after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from ganbench.system.openmp import preserve_variables

from .cpu import cpu_settings
from .memory import reset_peak_rss
from .precision import default_float32_precision, without_autocast
from .rng import preserve_default_rngs


@contextmanager
def fresh_process_state(device: torch.device) -> Iterator[None]:
    """Within the block, torch's process-wide settings are those of a fresh process that trains on `device`.

    So a run in a script or notebook equals one on the command line, whatever was set before. Afterwards, these are as
    before: default dtype, default device, CUDA device, gradient mode, autocast, deterministic algorithms, precision of
    float32, number of threads, memory allocator, default random number generators, and OpenMP's variables, except that
    the one that importing ganbench added is gone.
    """
    with (
        preserve_variables(),
        torch.cuda.device(device) if device.type == "cuda" else nullcontext(),
        preserve_default_rngs(device),
        torch.inference_mode(False),
        torch.enable_grad(),
        without_autocast(device),
        nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu"),
        default_float32_precision(),
        default_flags(),
        cpu_settings() if device.type == "cpu" else nullcontext(),
    ):
        reset_peak_rss()  # earlier runs of this process may have needed more memory
        yield


@contextmanager
def default_flags() -> Iterator[None]:
    """Within the block, the default dtype is float32 and nondeterministic algorithms are allowed."""
    dtype, mode = torch.get_default_dtype(), torch.get_deterministic_debug_mode()
    torch.set_default_dtype(torch.float32)
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_deterministic_debug_mode(mode)
