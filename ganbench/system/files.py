"""Atomic file writes, and the folders that ganbench keeps between runs."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeAlias

import platformdirs

from ganbench.errors import GanbenchError, GanbenchWarning, UsageError

StrPath: TypeAlias = str | os.PathLike[str]

SHA256_BYTES = 32  # length of the digest that precedes the content of a cache file
ABANDONED_SECONDS = 24 * 60 * 60  # after which nobody writes to a partial file any more


def exists(path: Path) -> bool:
    """Return whether a path exists; false if a folder above it may not be searched, for which `Path.exists` raises."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Like `exists`, for a file."""
    return os.path.isfile(path)  # noqa: PTH113


def is_dir(path: Path) -> bool:
    """Like `exists`, for a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def as_path(name: str, given: object) -> Path:
    """Return the argument `name` of a public function, which is a path. Raises `UsageError` for anything else."""
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"{name}: expected a path, got {type(given).__name__}")
    if not os.fspath(given):  # of a variable that is not set: `Path` would take it for the current folder
        raise UsageError(f"{name}: expected a path, got an empty string")
    return Path(expand_home(given))


def expand_home(path: StrPath) -> str:
    """Replace a leading ~ by the user's home folder, if it is known; a shell does so only at the start of a word."""
    return os.path.expanduser(os.fspath(path))  # noqa: PTH111 - unlike `Path.expanduser`, keeps ./, and never raises


@contextmanager
def atomic_write(target: StrPath) -> Iterator[Path]:
    """Yield a temporary path in the folder of `target`; it replaces `target` only if the block succeeds.

    A link or a device, such as /dev/stdout, is written to instead: replacing it would destroy it.
    """
    target = Path(target)
    if _is_written_through(target):
        yield target
        return
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part{target.suffix}")
    try:
        yield part
        with part.open("rb+") as file:  # Windows flushes only files that are open for writing
            os.fsync(file.fileno())
        part.replace(target)
        _sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _is_written_through(target: Path) -> bool:
    """Return whether the target is a link or a device."""
    return target.is_symlink() or (exists(target) and not is_file(target))


def _sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a renamed file survives a crash.

    Only POSIX systems can open a folder, and some network file systems cannot flush one.
    """
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def explained_write(target: StrPath, remedy: str = "") -> Iterator[None]:
    """Turn an `OSError` in the block, which writes to `target`, into a `GanbenchError` that says so."""
    try:
        yield
    except OSError as error:
        raise GanbenchError(f"cannot write {target}: {error.strerror or error}{remedy}") from error


def require_output_file(file: Path, option: str) -> None:
    """Raise `UsageError` before any work if a file given with `option` cannot be written.

    That is so if it is a folder, or if its own folder does not exist or cannot be written to, which replacing an
    existing file requires, too.
    """
    folder = file.resolve().parent
    if is_dir(file):
        raise UsageError(f"{option} {file}: this is a folder; give the name of a file")
    if not is_dir(folder):
        raise UsageError(f"{option} {file}: folder {file.parent} does not exist; create it first")
    if _is_written_through(file) and exists(file):
        if not os.access(file, os.W_OK):
            raise UsageError(f"{option} {file}: cannot be written to")
    elif not os.access(folder, os.W_OK):
        raise UsageError(f"{option} {file}: folder {file.parent} cannot be written to")


def write_text(target: Path, text: str) -> None:
    """Write `text` atomically, as UTF-8."""
    with atomic_write(target) as part:
        part.write_text(text, encoding="utf-8")


def write_cache(target: StrPath, content: bytes) -> None:
    """Write `content` atomically to a cache file for `read_cache`; if that fails, warn and continue without it.

    Any number of processes may read and write the same file.
    """
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(Path(target).parent)
        with atomic_write(target) as part:
            part.write_bytes(hashlib.sha256(content).digest() + content)
    except OSError as error:
        reason = error.strerror or error
        warnings.warn(f"cannot write the cache file {target}: {reason}", GanbenchWarning, stacklevel=2)


def remove_abandoned(folder: Path) -> None:
    """Remove the partial files that killed processes have left in a folder of the cache, at least a day ago."""
    for file in folder.glob(".*.part*"):
        with suppress(OSError):  # another process may have removed it, or it may be another user's
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()


def read_cache(target: StrPath) -> bytes | None:
    """Return the content that `write_cache` wrote; None if the file is missing or corrupt."""
    try:
        stored = Path(target).read_bytes()
    except OSError:
        return None
    digest, content = stored[:SHA256_BYTES], stored[SHA256_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def file_version(path: Path) -> str:
    """Return the version of a single-file plugin: a hash of its content."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def named_data_dir(given: Path | None) -> Path | None:
    """Return the data folder named by `given`, else by `$GANBENCH_DATA`; None if neither is set.

    Raises `UsageError` if the folder does not exist: creating it would hide a typo.
    """
    configured = given or os.environ.get("GANBENCH_DATA")
    named = Path(expand_home(configured)) if configured else None
    if named is not None and not is_dir(named):
        source = "--data-dir " if given else "GANBENCH_DATA="
        raise UsageError(f"{source}{named}: no such folder; to download data there, create it first")
    return named


def default_data_dir() -> Path:
    """Return the data folder: `$GANBENCH_DATA`, else a folder in the user's cache."""
    return named_data_dir(None) or cache_dir() / "data"


def config_dir() -> Path:
    """Return the folder for the user's configuration."""
    return user_dir("config")


def state_dir() -> Path:
    """Return the folder for measurements of this machine."""
    return user_dir("state")


def cache_dir() -> Path:
    """Return the folder for data that can be made again: downloads, decoded images, features and scores of them."""
    return user_dir("cache")


def user_dir(kind: Literal["config", "state", "cache"]) -> Path:
    """Return a folder of the user for ganbench. Raises `UsageError` if the user has no home folder."""
    try:
        return Path(getattr(platformdirs, f"user_{kind}_dir")("ganbench"))
    except RuntimeError:
        raise UsageError(
            f"the {kind} folder of ganbench is unknown, because this user has no home folder; set HOME, or "
            f"XDG_{kind.upper()}_HOME, to a folder"
        ) from None
