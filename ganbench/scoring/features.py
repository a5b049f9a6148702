"""Features of many images in bounded memory: binary files, written and read in batches."""

from __future__ import annotations

import hashlib
import json
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from types import TracebackType

import torch
from safetensors.torch import load, save
from torch import Tensor

from ganbench.errors import DataError
from ganbench.system.files import atomic_write, read_cache, write_cache

CACHE_BYTES = 8 * 2**30  # size limit of cached features, and that of derived data; the least recently used go first


@contextmanager
def temporary_features() -> Iterator[Path]:
    """Yield a temporary folder for features. Raises `DataError` if they cannot be written, such as on a full disk."""
    with tempfile.TemporaryDirectory(prefix="ganbench-features-") as folder, writable_features(folder):
        yield Path(folder)


@contextmanager
def writable_features(folder: str) -> Iterator[None]:
    """Convert an `OSError` of the block, which writes features to a temporary folder, to a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write features to {folder}: {error.strerror or error}; free space there, or set TMPDIR to another "
            "folder"
        ) from error


class FeatureFile:
    """A file with the features of images, batch after batch, without a header.

    It stays open, so that it can be read even after another process has removed it from the cache. Close one in a
    temporary folder: some file systems, such as NFS, cannot remove a folder with open files.
    """

    def __init__(
        self, path: Path, batch_sizes: list[int], num_features: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.path = path
        self.batch_sizes = batch_sizes
        self.num_features = num_features
        self.dtype = dtype
        self.device = device
        self._file = path.open("rb")
        self._close = weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return sum(self.batch_sizes)

    def close(self) -> None:
        self._close()

    def batches(self) -> Iterator[Tensor]:
        """Yield features `(n, num_features)` on the device, in the batches in which they were extracted."""
        row_bytes, start = self.num_features * self.dtype.itemsize, 0
        for size in self.batch_sizes:
            self._file.seek(start)  # others may have read in between
            numbers = torch.frombuffer(bytearray(self._file.read(size * row_bytes)), dtype=self.dtype)
            yield numbers.view(size, self.num_features).to(self.device)
            start += size * row_bytes


class FeatureWriter:
    """Writes features as they are extracted."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path = path
        self.device = device
        self.batch_sizes: list[int] = []
        self._shape: tuple[int, torch.dtype] | None = None
        self._file: BufferedWriter | None = None

    def __enter__(self) -> FeatureWriter:
        self._file = self.path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()

    def append(self, features: Tensor) -> None:
        """Append features `(n, num_features)`."""
        assert self._file is not None
        self._shape = (features.shape[1], features.dtype)
        self.batch_sizes.append(len(features))
        self._file.write(features.detach().cpu().contiguous().view(torch.uint8).numpy().data)

    def result(self, path: Path | None = None) -> FeatureFile:
        """Return the written features; call it after closing the file. `path` is its new one if it was moved."""
        assert self._shape is not None
        return FeatureFile(path or self.path, self.batch_sizes, *self._shape, self.device)


@dataclass(frozen=True)
class StoredFeatures:
    """Implements `ganbench.Features` with a file."""

    file: FeatureFile
    labels: Tensor | None
    derived_dir: Path | None = None  # cache for data that the metric derives from them; None for generated images

    def __len__(self) -> int:
        return len(self.file)

    def batches(self) -> Iterator[Tensor]:
        return self.file.batches()

    def derived(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        if self.derived_dir is None:
            return compute()
        cached = self.derived_dir / hashlib.sha256(name.encode()).hexdigest()
        content = read_cache(cached)
        if content is not None:
            mark_as_used(cached)
            return {key: tensor.to(self.file.device) for key, tensor in load(content).items()}
        values = compute()
        write_cache(cached, save({key: tensor.detach().cpu().contiguous() for key, tensor in values.items()}))
        evict(self.derived_dir.parent, "*/[!.]*")
        return values


def cached_features(
    folder: Path, key: str, device: torch.device, extract: Callable[[FeatureWriter], None]
) -> FeatureFile:
    """Return features of real images: from the cache if the file exists and is unchanged, else extracted.

    Raises `OSError` if the cache cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, layout = folder / f"{key}.bin", folder / f"{key}.layout"
    content = read_cache(layout)
    if content is not None:
        cached = json.loads(content)
        with suppress(OSError):
            if file_hash(path) == cached["sha256"]:
                mark_as_used(path)
                dtype = getattr(torch, cached["dtype"])
                return FeatureFile(path, cached["batch_sizes"], cached["num_features"], dtype, device)
    with atomic_write(path) as part:
        with FeatureWriter(part, device) as writer:
            extract(writer)
        sha256 = file_hash(part)
    features = writer.result(path)
    description = {
        "batch_sizes": features.batch_sizes,
        "num_features": features.num_features,
        "dtype": str(features.dtype).removeprefix("torch."),
        "sha256": sha256,
    }
    write_cache(layout, json.dumps(description).encode())
    evict(folder, "[!.]*.bin")
    return features


def mark_as_used(path: Path) -> None:
    with suppress(OSError):  # others' caches may be read-only
        path.touch()


def evict(folder: Path, pattern: str) -> None:
    """Remove the least recently used files beyond `CACHE_BYTES`, but never the last used one."""
    files = []
    for path in folder.glob(pattern):
        with suppress(OSError):  # another process may have renamed or removed it
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    total = 0
    for position, (_, size, path) in enumerate(sorted(files, reverse=True)):
        total += size
        if total > CACHE_BYTES and position:
            with suppress(OSError):  # it may be another user's, or open, on Windows
                path.unlink(missing_ok=True)
                path.with_suffix(".layout").unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
