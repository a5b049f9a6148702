"""Sources of FashionMNIST: local files, torchvision's download, and the embedded subset."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from ganbench import ImageData
from ganbench_datasets.downloads import DownloadError
from ganbench_datasets.idx import NUM_CLASSES, IdxDataset, split

Source = Literal["auto", "files", "download", "embedded"]

FULL = IdxDataset(
    title="FashionMNIST",
    torchvision_class="FashionMNIST",
    sha256={  # of the four files published by Zalando Research, decompressed
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    debian_folder=Path("/usr/share/datasets/fashion-mnist"),
    debian_package="dataset-fashion-mnist",
    other_sources="download|embedded",
)
SUBSET = Path(__file__).with_name("subset.npz")


def load(source: Source, data_dir: Path) -> ImageData:
    """Load FashionMNIST from `source`; "auto" tries files, download and the embedded subset, in this order.

    Raises `DataError` if the requested source is unavailable, and for files that differ from the published ones.
    """
    if source == "embedded":
        return embedded_subset()
    try:
        return FULL.load(source, data_dir)
    except DownloadError as error:
        if source == "download":
            raise
        return embedded_subset(
            "FashionMNIST was not found locally and could not be downloaded: using the EMBEDDED SUBSET of 5,000 "
            "images. Scores are comparable only with other runs on this subset. Searched "
            f"{FULL.searched(data_dir)}; the download failed: {error.reason}"
        )


def embedded_subset(notice: str | None = None) -> ImageData:
    """Return 5,000 train and 1,000 test images, class-balanced, created by `make_subset.py`."""
    arrays, sha256 = decoded_subset()
    train, test = (split(arrays[f"{name}_images"], arrays[f"{name}_labels"]) for name in ("train", "test"))
    return ImageData(
        train=train,
        test=test,
        num_classes=NUM_CLASSES,
        source="embedded",
        fingerprint=sha256,
        notice=notice,
    )


@cache
def decoded_subset() -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays of the subset by name, and the file's SHA-256; once, as a process may have many runs."""
    with np.load(SUBSET) as arrays:
        return dict(arrays), hashlib.sha256(SUBSET.read_bytes()).hexdigest()
