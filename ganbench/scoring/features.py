"""Features of many images in bounded memory: plain files that are written and read in batches."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from types import TracebackType

import torch
from safetensors.torch import load, save
from torch import Tensor

from ganbench.system.files import atomic_write, read_cache, write_cache

CACHE_BYTES = 8 * 2**30  # of real images' features that are kept; the longest unused go first
UNUSED_SECONDS = 7 * 24 * 3600  # a run may have used them at its start, and need them at its end


@dataclass(frozen=True)
class FeatureFile:
    """Features of images in one file, batch after batch, as raw numbers."""

    path: Path
    batch_sizes: list[int]
    num_features: int
    dtype: torch.dtype
    device: torch.device

    def __len__(self) -> int:
        return sum(self.batch_sizes)

    def batches(self) -> Iterator[Tensor]:
        """`(n, num_features)` on the device, in the batches that they were extracted in."""
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
        """Add `(n, num_features)`."""
        assert self._file is not None
        self._shape = (features.shape[1], features.dtype)
        self.batch_sizes.append(len(features))
        self._file.write(features.detach().cpu().contiguous().view(torch.uint8).numpy().data)

    def written(self) -> FeatureFile:
        """What was written, once the file is closed."""
        assert self._shape is not None
        return FeatureFile(self.path, self.batch_sizes, *self._shape, self.device)


@dataclass(frozen=True)
class StoredFeatures:
    """A metric's view of features; see `ganbench.Features`."""

    file: FeatureFile
    labels: Tensor | None
    derived_dir: Path | None = None  # where what the metric derives from them is kept; None for generated images

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
    """Features of real images, from the cache if they were extracted before and the file was not altered since.

    Raises `OSError` where the cache cannot be written, for there is no other place for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, layout = folder / f"{key}.bin", folder / f"{key}.layout"
    content = read_cache(layout)
    if content is not None:
        kept = json.loads(content)
        with suppress(OSError):
            if file_hash(path) == kept["sha256"]:
                path.touch()
                dtype = getattr(torch, kept["dtype"])
                return FeatureFile(path, kept["batch_sizes"], kept["num_features"], dtype, device)
    with atomic_write(path) as part, FeatureWriter(part, device) as writer:
        extract(writer)
        writer.flush()
    features = writer.written()
    written = FeatureFile(path, features.batch_sizes, features.num_features, features.dtype, device)
    kept = {
        "batch_sizes": written.batch_sizes,
        "num_features": written.num_features,
        "dtype": str(written.dtype).removeprefix("torch."),
        "sha256": file_hash(path),
    }
    write_cache(layout, json.dumps(kept).encode())
    evict(folder)
    return written


def evict(folder: Path) -> None:
    """Remove the longest unused features beyond `CACHE_BYTES`, but none that a run may still need."""
    files = []
    for path in folder.glob("*.bin"):
        with suppress(FileNotFoundError):  # another process has renamed or removed it
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
