"""MNIST and the datasets in its format: four files of 28x28 images and labels, each an array in the IDX format.

An IDX file is a header (two zero bytes, the type, the number of dimensions, and each dimension as 4 bytes, big-endian)
followed by the array. The files are published compressed with gzip.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ganbench import DataError, ImageData, atomic_write

from .downloads import download_folder, verify
from .published import Source

NUM_CLASSES = 10
CORRUPT = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class IdxDataset:
    """The published files of a dataset, and where to find them.

    The names in `sha256` end in `.gz` if only the hashes of the compressed files are known: these files are required,
    and read directly. All others are decompressed once.
    """

    title: str
    torchvision_class: str
    sha256: Mapping[str, str]
    debian_folder: Path | None = None
    debian_package: str | None = None
    other_sources: str = "download"  # values of the option `source`, for the error message about missing files

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256("".join(self.sha256.values()).encode()).hexdigest()

    def raw_folder(self, data_dir: Path) -> Path:
        """Return the folder in which torchvision stores the files."""
        return data_dir / self.torchvision_class / "raw"

    def searched(self, data_dir: Path) -> str:
        """Return the searched folders, for messages."""
        folders = (self.raw_folder(data_dir), self.debian_folder)
        return " or ".join(str(folder) for folder in folders if folder is not None)

    def load(self, source: Source, data_dir: Path) -> ImageData:
        """Load both splits from `source`; "auto" tries files, then the download.

        Raises `DownloadError` if the download fails, and `DataError` for missing files and for files that differ from
        the published ones.
        """
        if source in ("auto", "files"):
            raw = self.find_files(data_dir)
            if raw is not None:
                return self.read(raw, "files")
            if source == "files":
                raise DataError(self.missing_files(data_dir))
        return self.read(self.download(data_dir), "download")

    def file_names(self) -> str:
        packed = all(name.endswith(".gz") for name in self.sha256)
        return f"{', '.join(self.sha256)}{'' if packed else ' (or their .gz)'}"

    def missing_files(self, data_dir: Path) -> str:
        package = f", install Debian's package {self.debian_package}" if self.debian_package else ""
        folder = "the first folder" if self.debian_folder else "this folder"
        return (
            f"{self.title}: not all files found in {self.searched(data_dir)}. Put the four files "
            f"{self.file_names()} into {folder}{package}, or use another source: -o dataset.source={self.other_sources}"
        )

    def find_files(self, data_dir: Path) -> Path | None:
        """Return the raw folder, after decompressing files into it if necessary; None if a file is missing."""
        raw = self.raw_folder(data_dir)
        to_unpack: dict[str, Path] = {}
        for name in self.sha256:
            if os.path.isfile(raw / name):  # noqa: PTH113 - false where a folder may not be searched
                continue
            folders = [raw, self.debian_folder] if self.debian_folder else [raw]
            packed = (folder / f"{name}.gz" for folder in folders)
            archives = [file for file in packed if os.path.isfile(file)]  # noqa: PTH113
            if not archives:
                return None
            to_unpack[name] = archives[0]
        for name, archive in to_unpack.items():
            unpack(self.title, archive, raw / name, self.sha256[name])
        return raw

    def download(self, data_dir: Path) -> Path:
        """Download with torchvision, and move the complete files into the raw folder."""
        from torchvision import datasets  # here, because importing it takes a second

        raw = self.raw_folder(data_dir)
        hint = f"put the four files {self.file_names()} into {raw}"
        with download_folder(self.title, data_dir, raw, hint) as folder:
            getattr(datasets, self.torchvision_class)(folder, download=True)
            for name in self.sha256:
                (self.raw_folder(folder) / name).replace(raw / name)
        return raw

    def read(self, raw: Path, source: str) -> ImageData:
        """Read the splits from verified files; not with torchvision's class, which would prefer `processed/*.pt`."""
        arrays: dict[str, np.ndarray] = {}
        for name, expected in self.sha256.items():
            verify(self.title, raw / name, expected)
            arrays[name.removesuffix(".gz")] = read_idx(raw / name)
        train, test = (
            split(arrays[f"{prefix}-images-idx3-ubyte"], arrays[f"{prefix}-labels-idx1-ubyte"])
            for prefix in ("train", "t10k")
        )
        return ImageData(train=train, test=test, num_classes=NUM_CLASSES, source=source, fingerprint=self.fingerprint)


def split(images: np.ndarray, labels: np.ndarray) -> TensorDataset:
    """Return a split from images `(N, 28, 28)` and labels `(N,)`, both uint8: add a channel, and convert to int64."""
    return TensorDataset(torch.tensor(images[:, None]), torch.tensor(labels, dtype=torch.int64))


def read_idx(path: Path) -> np.ndarray:
    """Return the array in a file, which may be compressed."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    header = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:header], ">i4")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def unpack(title: str, archive: Path, target: Path, expected: str) -> None:
    """Decompress to `target` atomically, after verifying the SHA-256."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as part:
            with gzip.open(archive) as packed, part.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            found = hashlib.sha256(part.read_bytes()).hexdigest()
            if found != expected:
                raise DataError(
                    f"{title}: {archive} does not contain the published file: its decompressed content has the SHA-256 "
                    f"{found}, expected {expected}. Remove or replace it"
                )
    except CORRUPT as error:
        raise DataError(f"{title}: {archive} is truncated or corrupt ({error}); remove or replace it") from None
    except OSError as error:
        raise DataError(
            f"{title}: cannot decompress {archive} to {target}: {error.strerror or error}; give a writable folder "
            "with --data-dir"
        ) from error
