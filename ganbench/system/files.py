"""Writing files whole, and the folders that ganbench keeps between runs."""

from __future__ import annotations

import hashlib
import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from ganbench.errors import GanbenchWarning, UsageError

SHA256_BYTES = 32  # before the content of a cache file


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` to write to; it takes the target's place only if the block succeeds."""
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part{target.suffix}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        _sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring a file's new name to the disk as well, where the system lets folders be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_write(target) as part:
        part.write_text(text, encoding="utf-8")


def write_cache(target: Path, content: bytes) -> None:
    """Keep `content` in a file, whole or not at all, for `read_cache`; where that cannot be, warn and go on without.

    Any number of processes may write and read the same file.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as part:
            part.write_bytes(hashlib.sha256(content).digest() + content)
    except OSError as error:
        reason = error.strerror or error
        warnings.warn(f"cannot write the cache file {target}: {reason}", GanbenchWarning, stacklevel=2)


def read_cache(target: Path) -> bytes | None:
    """What `write_cache` kept, to the bit; None where there is none, or what is there was altered since."""
    try:
        kept = target.read_bytes()
    except OSError:
        return None
    digest, content = kept[:SHA256_BYTES], kept[SHA256_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def why_no_locks(file: Path) -> str | None:
    """Why the file system cannot lock `file`, which it makes; None if it can. Raises `OSError` if it cannot be made.

    Some network file systems have no flock, such as Lustre mounted without it.
    """
    if os.name != "posix":
        return None
    import fcntl

    with file.open("ab") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # it is locked already
            return None
        except OSError as error:
            return error.strerror or str(error)
    return None


def file_version(path: Path) -> str:
    """What identifies a plugin that is a single file: a hash of its content."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def named_data_dir(given: Path | None) -> Path | None:
    """Where data sets live by `given`, else by `$GANBENCH_DATA`; None where neither names a folder.

    Raises `UsageError` if the folder is not there: it would be made and filled for a mistyped name.
    """
    configured = os.environ.get("GANBENCH_DATA")
    named = given or (Path(configured) if configured else None)
    if named is not None and not named.is_dir():
        source = "--data-dir " if given else "GANBENCH_DATA="
        raise UsageError(f"{source}{named}: there is no such folder; if data is to be downloaded there, make it first")
    return named


def default_data_dir() -> Path:
    """Where data sets live: `$GANBENCH_DATA`, else a folder in the user's cache."""
    return named_data_dir(None) or cache_dir() / "data"


def state_dir() -> Path:
    """Where what was measured of this machine is kept."""
    return Path(platformdirs.user_state_dir("ganbench"))


def cache_dir() -> Path:
    """Where derived things are kept between runs: real images' statistics, scores of real images."""
    return Path(platformdirs.user_cache_dir("ganbench"))
