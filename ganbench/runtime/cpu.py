"""How the process is set up to train on a CPU: threads, and what becomes of freed memory."""

from __future__ import annotations

import ctypes
import os
import sys

import joblib
import torch

# parameters of glibc's mallopt(3), from its malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def set_up_cpu() -> None:
    """Make a process ready to train on a CPU. It stays so: both settings are the whole process's."""
    use_physical_cores()
    keep_freed_memory()


def use_physical_cores() -> None:
    """Let torch compute with one thread for each physical core that this process may use.

    Its own default counts the machine's cores, also in a container or a cluster's job that has but some of them. Where
    the environment variable OMP_NUM_THREADS is set, that decides.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(joblib.cpu_count(only_physical_cores=True))


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees, since the next one asks for the same.

    By default it hands large pieces back to the system and takes them anew page by page, in every step.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # other C libraries have none
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
