"""Weights files published elsewhere: given by an option, found in the torch hub cache or downloaded, and verified."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import torch

from ganbench import DataError, MissingError
from ganbench_datasets.downloads import NETWORK_TIMEOUT, socket_timeout

UNREADABLE = (  # exceptions that torch raises for invalid files
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def find_weights(extractor: str, url: str, sha256: str, given: Path | None) -> Path:
    """Return the given weights file, or the verified file in the torch hub cache, downloaded if necessary.

    Raises `MissingError` if it is unavailable, and `DataError` if the cached file is not the published one.
    """
    if given is not None:
        if not given.is_file():
            raise MissingError(f"{extractor}: weights file not found: {given.absolute()}")
        return given
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not os.path.isfile(cached):  # noqa: PTH113 - false where the home folder may not be searched
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            with socket_timeout(NETWORK_TIMEOUT):
                torch.hub.download_url_to_file(url, str(cached), hash_prefix=sha256)
        except (OSError, RuntimeError, HTTPException) as error:
            reason = " ".join(str(error).split())
            raise MissingError(
                f"{extractor}: the weights were not found locally and could not be downloaded ({reason}). Download "
                f"{url} elsewhere and copy it to {cached}, or give a file with the metric's option features.weights"
            ) from None
    if (found := file_sha256(cached)) != sha256:
        raise DataError(
            f"{extractor}: {cached} is not the published file: its SHA-256 is {found}, expected {sha256}. "
            "Remove it to download it again"
        )
    return cached


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def wrap_errors(extractor: str, path: Path, expected: str) -> Iterator[None]:
    """Turn an exception for an invalid file into a `DataError` that names the file and its expected content."""
    try:
        yield
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, KeyError):
            reason = f"it has no {reason}"
        raise DataError(f"{extractor}: {path} does not contain {expected}: {reason}") from error
