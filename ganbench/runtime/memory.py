"""Memory: how much the process held at most, and errors for want of it."""

from __future__ import annotations

import sys

import torch

from ganbench.errors import causes


def peak_rss() -> int | None:
    """The most memory that this process has held since its start, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource  # there is none on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error is for want of memory, on the host or on the device."""
    # torch has no class of its own for the host's
    on_host = isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return on_host or isinstance(error, torch.OutOfMemoryError | MemoryError)


def explain_out_of_memory(error: BaseException, batch_size: int, device: torch.device) -> str | None:
    """What to tell a user whose run ended for want of memory; None if it did not."""
    if not any(is_out_of_memory(cause) for cause in causes(error)):
        return None
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        peak = f"{torch.cuda.max_memory_allocated(device) / 2**20:,.0f} of {total / 2**20:,.0f} MiB"
    else:
        rss = peak_rss()
        peak = "an unknown amount" if rss is None else f"{rss / 2**20:,.0f} MiB"
    return (
        f"out of memory on {device} with a batch of {batch_size}, after a peak of {peak}: lower training.batch_size or "
        "the size of the model"
    )
