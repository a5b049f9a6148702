"""Processes that end together with the process that started them."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # man 2 prctl
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork


def end_with_parent() -> None:
    """Receive SIGTERM when the parent of this process dies, even by SIGKILL; has no effect outside Linux.

    May run between fork and exec.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
