"""Features of many images in bounded memory: binary files, written and read in batches."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
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

CACHE_BYTES = 8 * 2**30  # size limit for cached features; the least recently used are removed first
UNUSED_SECONDS = 7 * 24 * 3600  # newer features are not removed: a run may use them at its start and again at its end


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


@dataclass(frozen=True)
class FeatureFile:
    """A file with the features of images, batch after batch, without a header."""

    path: Path
    batch_sizes: list[int]
    num_features: int
    dtype: torch.dtype
    device: torch.device

    def __len__(self) -> int:
        return sum(self.batch_sizes)

    def batches(self) -> Iterator[Tensor]:
        """Yield features `(n, num_features)` on the device, in the batches in which they were extracted."""
        with self.path.open("rb") as file:
            for size in self.batch_sizes:
                count = size * self.num_features
                numbers = torch.frombuffer(bytearray(file.read(count * self.dtype.itemsize)), dtype=self.dtype)
                yield numbers.view(size, self.num_features).to(self.device)


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

    def flush(self) -> None:
        assert self._file is not None
        self._file.flush()

    def append(self, features: Tensor) -> None:
        """Append features `(n, num_features)`."""
        assert self._file is not None
        self._shape = (features.shape[1], features.dtype)
        self.batch_sizes.append(len(features))
        self._file.write(features.detach().cpu().contiguous().view(torch.uint8).numpy().data)

    def result(self) -> FeatureFile:
        """Return the written features; call it after closing the file."""
        assert self._shape is not None
        return FeatureFile(self.path, self.batch_sizes, *self._shape, self.device)


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
            return {key: tensor.to(self.file.device) for key, tensor in load(content).items()}
        values = compute()
        write_cache(cached, save({key: tensor.detach().cpu().contiguous() for key, tensor in values.items()}))
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
                with suppress(OSError):  # others' caches may be read-only
                    path.touch()
                dtype = getattr(torch, cached["dtype"])
                return FeatureFile(path, cached["batch_sizes"], cached["num_features"], dtype, device)
    with atomic_write(path) as part, FeatureWriter(part, device) as writer:
        extract(writer)
        writer.flush()
    part_file = writer.result()
    features = FeatureFile(path, part_file.batch_sizes, part_file.num_features, part_file.dtype, device)
    description = {
        "batch_sizes": features.batch_sizes,
        "num_features": features.num_features,
        "dtype": str(features.dtype).removeprefix("torch."),
        "sha256": file_hash(path),
    }
    write_cache(layout, json.dumps(description).encode())
    evict(folder)
    return features


def evict(folder: Path) -> None:
    """Remove the least recently used features beyond `CACHE_BYTES`, except those that a run may still need."""
    files = []
    for path in folder.glob("*.bin"):
        with suppress(FileNotFoundError):  # another process may have renamed or removed it
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    total = 0
    for used_at, size, path in sorted(files, reverse=True):
        total += size
        if total > CACHE_BYTES and time.time() - used_at > UNUSED_SECONDS:
            path.with_suffix(".layout").unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
