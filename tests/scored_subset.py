"""The real images that evaluators of tests compare with: the first ones of the embedded FashionMNIST."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from ganbench import BuildContext, ImageData
from ganbench.results.schema import DataRecord
from ganbench_datasets.fashion_mnist.sources import embedded_subset

CPU = torch.device("cpu")
SUBSET = embedded_subset()
TRAIN, TEST = 300, 200  # images
RECORD = DataRecord(
    source="embedded",
    fingerprint="a part of the subset",
    content_sha256="0123456789abcdef",
    content_basis="all images",
    train_images=TRAIN,
    test_images=TEST,
    notice=None,
)


def data_of(test: int | None = TEST) -> ImageData:
    """The first images of the subset's splits; without a test split where `test` is None."""
    train, kept = SUBSET.train.tensors, SUBSET.test.tensors
    return ImageData(
        TensorDataset(*(tensor[:TRAIN] for tensor in train)),
        None if test is None else TensorDataset(*(tensor[:test] for tensor in kept)),
        num_classes=10,
        source="embedded",
        fingerprint="a part of the subset",
    )


def context_with(cache_dir: Path) -> BuildContext:
    """The context in which networks and metrics are built."""
    return BuildContext(data_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=cache_dir, seed=7)
