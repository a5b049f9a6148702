"""Sources of FashionMNIST: local files, torchvision's download, and the embedded subset."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import socket
import tempfile
import zlib
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.utils.data import TensorDataset
from torchvision.datasets import FashionMNIST
from torchvision.datasets.mnist import read_image_file, read_label_file

from ganbench import DataError, ImageData, atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator

Source = Literal["auto", "files", "download", "embedded"]

# hashes of the four files published by Zalando Research, decompressed
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
FULL_FINGERPRINT = hashlib.sha256("".join(SHA256.values()).encode()).hexdigest()
NUM_CLASSES = 10

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # installed by Debian's package dataset-fashion-mnist
SUBSET = Path(__file__).with_name("subset.npz")
DOWNLOAD_TIMEOUT = 30.0  # seconds without data before the download fails


def load(source: Source, data_dir: Path) -> ImageData:
    """Load FashionMNIST from `source`; "auto" tries files, download and the embedded subset, in this order.

    Raises `DataError` if the requested source is unavailable, and for files that differ from the published ones.
    """
    if source == "embedded":
        return embedded_subset()
    if source in ("auto", "files"):
        raw = find_files(data_dir)
        if raw is not None:
            return full_data(raw, "files")
        if source == "files":
            raise DataError(
                f"FashionMNIST: not all files found in {raw_folder(data_dir)} or {DEBIAN_FOLDER}. Put the four files "
                f"{', '.join(SHA256)} (or their .gz) into the first folder, install Debian's package "
                "dataset-fashion-mnist, or use another source: -o dataset.source=download|embedded"
            )
    try:
        return full_data(download(data_dir), "download")
    except ConnectionError as error:
        reason = " ".join(str(error).split())
        if source == "download":
            raise DataError(f"FashionMNIST: the download into {data_dir} failed: {reason}") from error
        return embedded_subset(
            "FashionMNIST was not found locally and could not be downloaded: training on the EMBEDDED SUBSET of 5,000 "
            f"images. Scores are comparable only with other runs on this subset. Searched {raw_folder(data_dir)} and "
            f"{DEBIAN_FOLDER}; the download failed: {reason}"
        )


def raw_folder(data_dir: Path) -> Path:
    """Return the folder in which torchvision's FashionMNIST stores its files."""
    return data_dir / "FashionMNIST" / "raw"


def find_files(data_dir: Path) -> Path | None:
    """Return the raw folder, after decompressing files into it if necessary; None if a file is missing."""
    raw = raw_folder(data_dir)
    for name in SHA256:
        candidates = (raw / name, raw / f"{name}.gz", DEBIAN_FOLDER / f"{name}.gz")
        if not any(candidate.is_file() for candidate in candidates):
            return None
    for name, expected in SHA256.items():
        if not (raw / name).is_file():
            packed = raw / f"{name}.gz"
            unpack(packed if packed.is_file() else DEBIAN_FOLDER / packed.name, raw / name, expected)
    return raw


def unpack(archive: Path, target: Path, expected: str) -> None:
    """Decompress to `target` atomically, after verifying the SHA-256."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as part:
            with gzip.open(archive) as packed, part.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            found = hashlib.sha256(part.read_bytes()).hexdigest()
            if found != expected:
                raise DataError(
                    f"FashionMNIST: {archive} does not contain the published file: its decompressed content has the "
                    f"SHA-256 {found}, expected {expected}. Remove or replace it"
                )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"FashionMNIST: {archive} is truncated or corrupt ({error}); remove or replace it") from None
    except OSError as error:
        raise DataError(
            f"FashionMNIST: cannot decompress {archive} to {target}: {error.strerror or error}; give a writable folder "
            "with --data-dir"
        ) from error


def download(data_dir: Path) -> Path:
    """Download with torchvision, and move the complete files into the raw folder.

    Raises `ConnectionError` if the download fails, and `DataError` if the files cannot be written.
    """
    raw = raw_folder(data_dir)
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw, prefix=".download-") as folder:
            with socket_timeout(DOWNLOAD_TIMEOUT):
                FashionMNIST(folder, download=True)
            for name in SHA256:
                (raw_folder(Path(folder)) / name).replace(raw / name)
    except (RuntimeError, HTTPException, TimeoutError, ConnectionError) as error:  # all mirrors failed
        raise ConnectionError(str(error)) from error
    except OSError as error:
        raise DataError(
            f"FashionMNIST: cannot write to {raw}: {error.strerror or error}; give another folder with --data-dir"
        ) from error
    return raw


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def full_data(raw: Path, source: str) -> ImageData:
    """Read the dataset from verified files; not with torchvision's class, which would prefer `processed/*.pt`."""
    for name, expected in SHA256.items():
        verify(raw / name, expected)
    train, test = (
        TensorDataset(
            read_image_file(str(raw / f"{prefix}-images-idx3-ubyte")),
            read_label_file(str(raw / f"{prefix}-labels-idx1-ubyte")),
        )
        for prefix in ("train", "t10k")
    )
    return image_data(train, test, source, FULL_FINGERPRINT)


def verify(path: Path, expected: str) -> None:
    """Raise `DataError` unless the file's SHA-256 is the expected one."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"FashionMNIST: cannot read {path}: {error}") from error
    if found != expected:
        raise DataError(
            f"FashionMNIST: {path} is truncated or corrupt: its SHA-256 is {found}, expected {expected}. "
            "Remove or replace it"
        )


def embedded_subset(notice: str | None = None) -> ImageData:
    """Return 5,000 train and 1,000 test images, class-balanced, created by `make_subset.py`."""
    with np.load(SUBSET) as arrays:
        train, test = (
            TensorDataset(torch.from_numpy(arrays[f"{split}_images"]), torch.from_numpy(arrays[f"{split}_labels"]))
            for split in ("train", "test")
        )
    return image_data(train, test, "embedded", hashlib.sha256(SUBSET.read_bytes()).hexdigest(), notice)


def image_data(
    train: TensorDataset, test: TensorDataset, source: str, fingerprint: str, notice: str | None = None
) -> ImageData:
    """Add a channel dimension to the images `(N, 28, 28)` of both splits."""
    with_channel = [TensorDataset(split.tensors[0][:, None], split.tensors[1].long()) for split in (train, test)]
    return ImageData(
        train=with_channel[0],
        test=with_channel[1],
        num_classes=NUM_CLASSES,
        source=source,
        fingerprint=fingerprint,
        notice=notice,
    )
