"""Set up the process for training on a CPU: number of threads and memory allocator."""

from __future__ import annotations

import ctypes
import os
import sys

import joblib
import torch

# parameters of glibc's mallopt(3), from its malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def set_up_cpu() -> None:
    """Set up the process for training on a CPU. Both settings are process-wide and permanent."""
    use_physical_cores()
    keep_freed_memory()


def use_physical_cores() -> None:
    """Set torch's number of threads to the number of physical cores available to this process.

    Torch's default counts all cores of the machine, even in a container or cluster job that may use only some of them.
    If the environment variable OMP_NUM_THREADS is set, it takes precedence.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(joblib.cpu_count(only_physical_cores=True))


def keep_freed_memory() -> None:
    """Configure glibc to keep freed memory, because the next step allocates the same sizes.

    By default, large blocks are returned to the system and mapped again, page by page, in every step.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # other C libraries lack it
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
