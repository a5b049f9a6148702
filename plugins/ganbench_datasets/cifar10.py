"""CIFAR-10 (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images"): 32x32 photos.

Images are uint8 RGB `(3, 32, 32)`; labels are the classes airplane, automobile, bird, cat, deer, dog, frog, horse, ship
and truck, in this order.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganbench import DatasetContext, DatasetPlugin, ImageData

from .published import PublishedOptions

if TYPE_CHECKING:
    from torch.utils.data import TensorDataset

MD5 = {  # of the published Python version, as in torchvision
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def build(options: PublishedOptions, context: DatasetContext) -> ImageData:
    from torchvision.datasets import CIFAR10

    from .archives import ArchivedDataset

    published = ArchivedDataset("CIFAR-10", CIFAR10.url, CIFAR10.filename, CIFAR10.tgz_md5, CIFAR10.base_folder, MD5)
    folder, source = published.find(options.source, context.data_dir)
    return ImageData(
        train=read_batches([folder / name for name in MD5 if name.startswith("data_batch")]),
        test=read_batches([folder / "test_batch"]),
        num_classes=10,
        source=source,
        fingerprint=published.fingerprint,
    )


def read_batches(files: list[Path]) -> TensorDataset:
    """Return the images and labels of verified files.

    Each is a pickled dict with `data`, uint8 `(N, 3072)` in the order channel, row, column, and a list `labels`.
    """
    import pickle

    import numpy as np
    import torch
    from torch.utils.data import TensorDataset

    batches = [pickle.loads(file.read_bytes(), encoding="latin1") for file in files]
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch["labels"] for batch in batches])
    return TensorDataset(torch.tensor(images), torch.tensor(labels, dtype=torch.int64))


PLUGIN = DatasetPlugin(
    name="cifar10",
    summary="CIFAR-10: 50,000 + 10,000 RGB 32x32 photos, 10 classes",
    options=PublishedOptions,
    build=build,
)
