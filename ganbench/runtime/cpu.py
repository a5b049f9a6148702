"""Set up the process for training on a CPU: number of threads and memory allocator."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import torch

from ganbench.system.openmp import given_threads

# parameters of glibc's mallopt(3), from its malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
# their defaults, and the environment variables that set them
DEFAULTS = {
    M_TRIM_THRESHOLD: ("MALLOC_TRIM_THRESHOLD_", 128 * 1024),
    M_MMAP_MAX: ("MALLOC_MMAP_MAX_", 65536),
}


@contextmanager
def cpu_settings() -> Iterator[None]:
    """Set up the process for training on a CPU within the block; both settings affect the whole process."""
    threads = torch.get_num_threads()
    use_physical_cores()
    keep_freed_memory()
    try:
        yield
    finally:
        release_freed_memory()
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def use_physical_cores() -> None:
    """Set torch's number of threads to the number of physical cores available to this process.

    Torch's default counts all cores of the machine, even in a container or cluster job that may use only some of them.
    If the environment variable OMP_NUM_THREADS is set to at least 1, it takes precedence.
    """
    threads = given_threads() or joblib.cpu_count(only_physical_cores=True)
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Configure glibc to keep freed memory, because the next step allocates the same sizes.

    By default, large blocks are returned to the system and mapped again, page by page, in every step.
    """
    if (libc := glibc()) is not None:
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def release_freed_memory() -> None:
    """Undo `keep_freed_memory`, and return the memory that was kept to the system.

    glibc cannot report its settings: restores the defaults, or the values in the environment. The threshold above which
    it maps a block no longer adapts itself, which only affects speed.
    """
    if (libc := glibc()) is not None:
        for parameter, (variable, default) in DEFAULTS.items():
            given = os.environ.get(variable, "")
            libc.mallopt(parameter, int(given) if given.isdecimal() else default)
        libc.malloc_trim(0)


def glibc() -> Any:
    """Return the C library if it is glibc, else None; others lack these functions."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
