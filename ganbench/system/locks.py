"""Locks of folders: only one process at a time writes to a run directory, or runs a suite in its folder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ganbench.errors import GanbenchWarning, UsageError

LOCK = ".lock"  # in the folder; it stays there, and only whoever holds it is writing
LOCK_SECONDS = 1.0  # to wait: `is_locked` of another process may hold the lock for a moment


@contextmanager
def locked_folder(folder: Path, name: str, in_use: str, warning: str) -> Iterator[None]:
    """Create the folder if needed and lock it within the block.

    `name` is that of the folder in messages. Raises `UsageError` if the folder cannot be created, or with `in_use` if
    another process has locked it. If the file system does not support locks, only warns with `warning`: a lock file
    without them would outlive a killed process.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        no_locks = why_no_locks(folder / LOCK)
        lock = nullcontext() if no_locks else FileLock(folder / LOCK).acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise UsageError(f"{name}: {in_use}") from None
    except OSError as error:
        raise UsageError(f"{name}: cannot write to it: {error.strerror}") from None
    if no_locks:
        warnings.warn(
            f"{name}: the file system does not support locks ({no_locks}); {warning}", GanbenchWarning, stacklevel=5
        )
    with lock:
        yield


def why_no_locks(file: Path) -> str | None:
    """Return why the file system cannot lock `file`; None if it can.

    Creates the file. Raises `OSError` if that fails. Some network file systems do not support flock, such as Lustre
    mounted without it.
    """
    file.touch()
    error = locking_error(file)
    return None if error is None or isinstance(error, BlockingIOError) else error.strerror or str(error)


def is_locked(folder: Path) -> bool:
    """Return whether a process has locked the folder; the permission to read it is enough.

    False if the folder does not exist, if its lock cannot be read, or if the file system has no locks.
    """
    with suppress(OSError):
        return (folder / LOCK).is_file() and isinstance(locking_error(folder / LOCK), BlockingIOError)
    return False


def locking_error(file: Path) -> OSError | None:
    """Return why a file cannot be locked at the moment, without keeping it locked: `BlockingIOError` if it is locked.

    Raises `OSError` if it cannot be read.
    """
    if os.name != "posix":
        try:
            with FileLock(file).acquire(timeout=0):
                return None
        except Timeout:
            return BlockingIOError()
    import fcntl

    with file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error
    return None
