"""Memory: peak usage and out-of-memory errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from ganbench.errors import GanbenchError, causes


def peak_rss() -> int | None:
    """Return the peak resident memory of this process, in bytes; None if the system does not report it."""
    status = Path("/proc/self/status")
    fields = status.read_text().partition("VmHWM:")[2].split() if status.exists() else []
    if fields:  # on Linux, where getrusage includes the peak of the process that started this one
        return 1024 * int(fields[0])
    if sys.platform == "win32":
        return None
    import resource  # not available on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak_rss() -> None:
    """Let the peak of resident memory begin with its present value, if the system can do that (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error is an out-of-memory error, on the host or on the device."""
    # torch has no exception class for host memory
    on_host = isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return on_host or isinstance(error, torch.OutOfMemoryError | MemoryError)


@contextmanager
def explained_out_of_memory(batch_size: int, device: torch.device) -> Iterator[None]:
    """If the block runs out of memory, raise `GanbenchError` with what to do."""
    try:
        yield
    except Exception as error:
        if out_of_memory := explain_out_of_memory(error, batch_size, device):
            raise GanbenchError(out_of_memory) from error
        raise


def explain_out_of_memory(error: BaseException, batch_size: int, device: torch.device) -> str | None:
    """Return an error message for a run that ran out of memory; None for other errors."""
    if not any(is_out_of_memory(cause) for cause in causes(error)):
        return None
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        peak = f"{torch.cuda.max_memory_allocated(device) / 2**20:,.0f} of {total / 2**20:,.0f} MiB"
    else:
        rss = peak_rss()
        peak = "an unknown amount" if rss is None else f"{rss / 2**20:,.0f} MiB"
    return (
        f"out of memory on {device} with batch size {batch_size}, peak usage {peak}; reduce training.batch_size or the "
        "size of the model"
    )
