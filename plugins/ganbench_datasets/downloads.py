"""Common parts of datasets that are downloaded: verification by hash, and network errors."""

from __future__ import annotations

import hashlib
import shutil
import socket
import tempfile
import time
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

from ganbench import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = ".download-"  # of temporary folders
ABANDONED_SECONDS = 24 * 60 * 60  # after which no download goes on
NETWORK_TIMEOUT = 30.0  # seconds without data before a download fails
NETWORK_ERRORS = (RuntimeError, HTTPException, URLError, TimeoutError, ConnectionError)  # as torchvision raises them


class DownloadError(DataError):
    """A download failed; `reason` is one line."""

    def __init__(self, title: str, data_dir: Path, error: Exception, hint: str) -> None:
        self.reason = " ".join(str(error).split())
        super().__init__(f"{title}: the download into {data_dir} failed: {self.reason}. If offline, {hint}")


@contextmanager
def download_folder(title: str, data_dir: Path, target: Path, hint: str) -> Iterator[Path]:
    """Yield a temporary folder in `target`, from which the block moves the complete files.

    `hint` says what to do offline.

    Raises `DownloadError` if the download fails, and `DataError` if the files cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        for left in target.glob(f"{PREFIX}*"):  # by processes that were killed
            with suppress(OSError):  # another one may have removed it, or it may be another user's
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=target, prefix=PREFIX) as folder, socket_timeout(NETWORK_TIMEOUT):
            yield Path(folder)
    except NETWORK_ERRORS as error:
        raise DownloadError(title, data_dir, error, hint) from error
    except OSError as error:
        raise DataError(
            f"{title}: cannot write to {target}: {error.strerror or error}; give another folder with --data-dir"
        ) from error


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def verify(title: str, path: Path, expected: str, algorithm: str = "sha256") -> None:
    """Raise `DataError` unless the file has the expected hash."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise DataError(f"{title}: cannot read {path}: {error}") from error
    if found != expected:
        name = {"sha256": "SHA-256", "md5": "MD5"}[algorithm]
        raise DataError(
            f"{title}: {path} is truncated or corrupt: its {name} is {found}, expected {expected}. Remove or replace it"
        )
